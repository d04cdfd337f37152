#!/bin/sh
# The python3 of another Debian that lies in the folder $EVENKEEL_DEBIAN (bench/README.md), with this system's processes, devices,
# temporary files and this repository. For EVENKEEL_PYTHON. What is mounted ends with the process.
set -e
: "${EVENKEEL_DEBIAN:?names the folder that debootstrap filled}"
repository=$(cd "$(dirname "$0")/../../.." && pwd)
exec env -u OPENBLAS_CORETYPE -u EVENKEEL_PYTHON unshare --mount --propagation private sh -e -c '
  root=$1 here=$2
  for folder in /proc /dev /tmp "$3"; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
  done
  shift 3
  exec chroot "$root" sh -c "cd \"\$0\" && exec python3 \"\$@\"" "$here" "$@"
' sh "$EVENKEEL_DEBIAN" "$PWD" "$repository" "$@"
