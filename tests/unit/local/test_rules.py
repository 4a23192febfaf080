"""The nftables text of a replica, checked as text here and by nft itself in the end-to-end tests."""

from weft.local import rules
from weft.local.rules import Balanced

WEB = Balanced("198.19.0.1", 80, "TCP", (("198.18.1.1", 8080), ("198.18.1.2", 8080)))
WEB6 = Balanced("fdb6::1", 80, "TCP", (("fdb6::2", 8080), ("fdb6::3", 8080)))
DNS = Balanced("198.19.0.2", 53, "UDP", (("198.18.1.3", 5353),))


def test_a_meshed_replica_sends_everything_to_its_proxy_but_the_proxys_own() -> None:
    """Requirement: the mark, loopback and DNS are accepted before the redirect; Services are left to the proxy."""
    lines = [line.strip() for line in rules.meshed((), (), [WEB], dual=True).splitlines()]
    output = lines[lines.index("chain output {") : lines.index("chain prerouting {")]
    redirect = output.index("meta l4proto tcp redirect to :4140")
    assert output.index(f"meta mark {rules.PROXY_MARK} accept") < redirect
    assert output.index('oifname "lo" accept') < redirect
    assert output.index("ip daddr 198.18.0.1 tcp dport 53 accept") < redirect
    assert not any("198.19.0.1" in line for line in output)


def test_the_proxys_own_ports_and_skipped_ports_arrive_untouched() -> None:
    """Requirement: 4143, 4190 and 4191 are never redirected to 4143, nor are skip-inbound-ports."""
    text = rules.meshed(("9990", "7000-7010"), (), [], dual=True)
    assert "tcp dport { 4143, 4190, 4191 } accept" in text
    assert "tcp dport { 9990, 7000-7010 } accept" in text


def test_what_a_proxy_does_not_carry_is_balanced_by_the_kernel() -> None:
    """Requirement: UDP and skipped outbound ports of Services reach a ready endpoint."""
    text = rules.meshed((), ("80",), [WEB, DNS], dual=True)
    assert "ip daddr 198.19.0.2 udp dport 53 dnat ip to numgen random mod 1 map { 0 : 198.18.1.3 . 5353 }" in text
    assert text.index("tcp dport 80 dnat") < text.index("tcp dport { 80 } accept")


def test_an_unmeshed_replica_gets_one_random_endpoint_per_connection() -> None:
    """Requirement: numgen over the ready endpoints; a Service without any is refused, not dropped."""
    text = rules.unmeshed([WEB, Balanced("198.19.0.9", 80, "TCP", ())], dual=True)
    expected = "dnat ip to numgen random mod 2 map { 0 : 198.18.1.1 . 8080, 1 : 198.18.1.2 . 8080 }"
    assert f"ip daddr 198.19.0.1 tcp dport 80 {expected}" in text
    assert "198.19.0.9" not in text
    assert "redirect" not in text
    assert "reject with tcp reset" in text


def test_ipv6_has_the_same_rules_in_a_table_of_its_own() -> None:
    """Requirement: redirects and balance as for IPv4, over endpoints of the same family; Services end in a refusal."""
    four, six = rules.meshed((), ("80",), [WEB, WEB6], dual=True).split("\ntable ip6 weft\n", 1)
    assert "fdb6" not in four
    assert "198." not in six
    assert "tcp redirect to :4140" in six
    assert "tcp redirect to :4143" in six
    choices = "dnat ip6 to numgen random mod 2 map { 0 : fdb6::2 . 8080, 1 : fdb6::3 . 8080 }"
    assert f"ip6 daddr fdb6::1 tcp dport 80 {choices}" in six
    assert "ip6 daddr fdb6:5e1f:9d2c:1::/64 meta l4proto tcp reject with tcp reset" in six
    assert choices in rules.unmeshed([WEB, WEB6], dual=True)


def test_without_ipv6_there_is_no_table_for_it() -> None:
    """Requirement: a kernel without IPv6 refuses its tables, and is not asked for one."""
    assert "ip6" not in rules.meshed((), (), [WEB], dual=False) + rules.unmeshed([WEB], dual=False)
