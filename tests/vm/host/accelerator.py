"""Whether QEMU may use KVM on this machine."""


def choose(wanted, kernel):
    return "tcg" if wanted == "auto" else wanted
