/** Networks: parameter trees, magnitude-preserving layers, the U-Net and optimizers will live here. */
export {};
