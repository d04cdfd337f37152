#!/bin/sh
# Runs the check of a prepared folder (`npm run gpuCheck -- FOLDER`) on a Linux box; arguments go to the check (--out FOLDER, --only
# WORDS, --seconds N, --quick). Nothing is downloaded. What the box lacks of a Vulkan driver is told, and given where it can be.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# What is unpacked and written on the way.
own=$here
[ -w "$here" ] || own=$(mktemp -d)

# Node 20 or later: the box's own, or the one in the folder.
node=$(command -v node || true)
if [ -z "$node" ] || ! "$node" -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'; then
  if [ -f "$here/node.gz" ] && [ ! -x "$own/node" ]; then gunzip -c "$here/node.gz" > "$own/node" && chmod +x "$own/node"; fi
  if [ ! -x "$own/node" ]; then
    echo "Node 20 or later is missing, and the folder has none: prepare it with --with-node, or install Node." >&2
    exit 2
  fi
  node="$own/node"
fi

# Libraries in the folder that the box doesn't have, and only those.
mkdir -p "$own/lent"
for library in "$here"/lib/*; do
  [ -f "$library" ] || continue
  name=$(basename "$library")
  if ! ldconfig -p 2>/dev/null | grep -q "$name " && [ ! -e "$own/lent/$name" ]; then
    ln -s "$library" "$own/lent/$name"
    echo "This box has no $name: the folder's is used."
  fi
done
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$own/lent"
export LD_LIBRARY_PATH

# The driver's file, where Vulkan's loader doesn't look for it: containers often have the driver and not its file.
if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] &&
  ! ls /etc/vulkan/icd.d/*nvidia* /usr/share/vulkan/icd.d/*nvidia* /usr/local/share/vulkan/icd.d/*nvidia* > /dev/null 2>&1; then
  file=$(find /usr/local/nvidia /usr/local/cuda /opt /run/opengl-driver -name 'nvidia*icd*.json' 2>/dev/null | grep -v layers | head -n 1)
  if [ -z "$file" ]; then
    driver=$(ldconfig -p 2>/dev/null | sed -n 's/.*=> \(.*libGLX_nvidia\.so\.0\)$/\1/p' | head -n 1)
    [ -n "$driver" ] || driver=$(find / -xdev -name libGLX_nvidia.so.0 2>/dev/null | head -n 1)
    if [ -n "$driver" ]; then
      file="$own/nvidia_icd.json"
      printf '{"file_format_version":"1.0.1","ICD":{"library_path":"%s","api_version":"1.3.0"}}\n' "$driver" > "$file"
      echo "This box has NVIDIA's driver ($driver) and no Vulkan file for it: the folder's is used."
    else
      echo "This box has no Vulkan driver of NVIDIA's (libGLX_nvidia.so.0). In a container: NVIDIA_DRIVER_CAPABILITIES=all. VK_DRIVER_FILES names another driver's file."
    fi
  fi
  # Both names: older loaders know the second one only.
  if [ -n "$file" ]; then VK_DRIVER_FILES=$file VK_ICD_FILENAMES=$file && export VK_DRIVER_FILES VK_ICD_FILENAMES; fi
fi

exec "$node" "$here/check.mjs" "$@"
