"""The two families of IP addresses, and one way to write an address."""

from enum import Enum
from ipaddress import IPv6Address, ip_address


class Family(Enum):
    """A family by the name that Services write in `ipFamilies`."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


def family(address: str) -> Family:
    """Return the family of an address that is known to be one."""
    return Family.IPV6 if ":" in address else Family.IPV4


def plain(address: str) -> str:
    """Return the one text of an address: short IPv6 in lower case, IPv4 out of IPv6. Raises ValueError for others."""
    value = ip_address(address)
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:
        return str(value.ipv4_mapped)
    return str(value)
