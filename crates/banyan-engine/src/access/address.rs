//! The address that a call comes from, with proxies in between.

use std::net::IpAddr;

use ipnet::IpNet;

/// The longest list of addresses that is read, in bytes.
const MAX_FORWARDED: usize = 1024;

/// The client's address: the peer's, or, if the peer is a trusted proxy, the last address in `X-Forwarded-For` that is not a
/// trusted proxy's. The caller may have invented all addresses before it.
pub(crate) fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[IpNet],
) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let hops = forwarded.filter(|list| list.len() <= MAX_FORWARDED);
    let mut last = peer;
    for hop in hops.rev().flat_map(|list| list.rsplit(',')) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            return last;
        };
        last = address.to_canonical();
        if !is_trusted(&last) {
            return last;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["192.0.2.0/24".parse().unwrap()];
        let peer = peer.parse().unwrap();
        client_address(peer, forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn a_proxys_word_counts_only_where_the_proxy_is_trusted() {
        assert_eq!(from("198.51.100.9", &["203.0.113.1"]), "198.51.100.9");
        assert_eq!(from("192.0.2.7", &["203.0.113.1"]), "203.0.113.1");
        assert_eq!(from("::ffff:192.0.2.7", &["203.0.113.1"]), "203.0.113.1");
        assert_eq!(from("192.0.2.7", &[]), "192.0.2.7");
    }

    #[test]
    fn what_a_caller_puts_before_the_proxys_own_entry_does_not_count() {
        assert_eq!(
            from("192.0.2.7", &["10.0.0.1, 203.0.113.1, 192.0.2.8"]),
            "203.0.113.1"
        );
        assert_eq!(
            from("192.0.2.7", &["10.0.0.1", "203.0.113.1"]),
            "203.0.113.1"
        );
        assert_eq!(from("192.0.2.7", &["203.0.113.1, nonsense"]), "192.0.2.7");
        assert_eq!(from("192.0.2.7", &["192.0.2.9"]), "192.0.2.9");
    }

    proptest! {
        #[test]
        fn no_header_panics(texts in prop::collection::vec("[0-9a-f.:, x]{0,60}", 0..4)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            from("192.0.2.7", &texts);
        }
    }
}
