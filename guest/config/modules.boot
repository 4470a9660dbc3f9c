# The kernel modules that PID 1 loads before it mounts the rootfs, one a line. What they depend on
# is found when they are packed.

# The machine's bus and the disk on it
virtio_pci
virtio_blk

# The rootfs: a read-only image below what the VM writes
squashfs
overlay

# The way to the host
vmw_vsock_virtio_transport

# By which the kernel's panic reaches QEMU
pvpanic_pci
