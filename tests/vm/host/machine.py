"""The two kinds of guest, as the process to start for each."""

import os
import shutil

# What both kernels are told: say everything (the log has its own channel),
# never go on after an oops, and stop instead of waiting for somebody to look.
KERNEL_ARGUMENTS = ["loglevel=7", "oops=panic", "panic=-1"]

# A virtual CPU on a busy host may stand still for a while: no watchdog for that,
# and ten minutes before a task counts as hung.
QEMU_KERNEL_ARGUMENTS = [
    "mitigations=off",
    "nowatchdog",
    "workqueue.watchdog_thresh=0",
    "sysctl.kernel.hung_task_timeout_secs=600",
]


class Uml:
    """User-Mode Linux: the guest is one process of the host."""

    kind = "uml"
    out_console = "/dev/tty1"
    err_console = "/dev/tty2"

    def disk(self, index):
        return f"/dev/ubd{chr(ord('a') + index)}"

    def command(self, guest, initramfs, disks, memory_mib, channels, scratch):
        arguments = [
            str(guest.kernel),
            f"mem={memory_mib}M",
            f"initrd={initramfs}",
            f"uml_dir={scratch}",
            "con=null",
            f"con0=null,fd:{channels.log}",
            f"con1=null,fd:{channels.out}",
            f"con2=null,fd:{channels.err}",
            *KERNEL_ARGUMENTS,
        ]
        for index, disk in enumerate(disks):
            flag = "r" if disk.read_only else ""
            arguments.append(f"ubd{index}{flag}={disk.path}")
        return arguments

    def environment(self, memory_mib, scratch):
        """UML keeps the guest's memory in a deleted file in TMPDIR."""
        shared = "/dev/shm"
        try:
            room = os.statvfs(shared)
            fits = room.f_bavail * room.f_frsize >= memory_mib << 20
        except OSError:
            fits = False
        return {"TMPDIR": shared if fits else str(scratch)}


class Qemu:
    """QEMU with Debian's own kernel: slower, two CPUs, the reference."""

    kind = "qemu"
    out_console = "/dev/ttyS1"
    err_console = "/dev/ttyS2"

    def __init__(self, accelerator):
        self.accelerator = accelerator

    def disk(self, index):
        return f"/dev/vd{chr(ord('a') + index)}"

    def command(self, guest, initramfs, disks, memory_mib, channels, scratch):
        kernel_arguments = ["console=ttyS0", *QEMU_KERNEL_ARGUMENTS, *KERNEL_ARGUMENTS]
        arguments = [
            shutil.which("qemu-system-x86_64") or "qemu-system-x86_64",
            *("-accel", "kvm" if self.accelerator == "kvm" else "tcg,thread=multi"),
            *("-cpu", "host" if self.accelerator == "kvm" else "max"),
            *("-smp", "2"),
            *("-m", str(memory_mib)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", str(guest.kernel)),
            *("-initrd", str(initramfs)),
            *("-append", " ".join(kernel_arguments)),
        ]
        for name, channel in channels._asdict().items():
            arguments += ["-chardev", f"file,id={name},path=/dev/fd/{channel}"]
            arguments += ["-serial", f"chardev:{name}"]
        for index, disk in enumerate(disks):
            read_only = "on" if disk.read_only else "off"
            arguments += [
                "-drive",
                f"if=none,id=disk{index},file={disk.path},format=raw,"
                f"cache=unsafe,file.locking=off,read-only={read_only}",
                "-device",
                f"virtio-blk-pci,drive=disk{index}",
            ]
        return arguments

    def environment(self, memory_mib, scratch):
        return {}
