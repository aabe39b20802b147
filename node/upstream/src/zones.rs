//! Which availability zone an address is in, by the networks that an operator named.

use std::net::IpAddr;

/// Networks and their zones; the longest network that holds an address decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zones {
    /// Longest prefix first.
    networks: Box<[Network]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u8,
    az: Box<str>,
}

/// A network that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network \"{network}\" of zone {az}: {rule}")]
pub struct ZonesError {
    /// The zone it was given for.
    pub az: String,
    /// The network.
    pub network: String,
    /// What it must be.
    pub rule: &'static str,
}

impl Zones {
    /// Reads the networks of each zone, such as `10.1.0.0/24` or `2001:db8::/48`; an address alone is a network of one.
    ///
    /// # Errors
    /// [`ZonesError`] names the first network that cannot be read, has bits beyond its prefix, or is given to two zones.
    pub fn new<'a>(zones: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ZonesError> {
        let mut networks: Vec<Network> = Vec::new();
        for (az, text) in zones {
            let error = |rule| ZonesError { az: az.to_owned(), network: text.to_owned(), rule };
            let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
            let base: IpAddr =
                base.parse().map_err(|_| error("must be an address, or one with a prefix length"))?;
            let width = width(base);
            let bits = match bits.map(str::parse::<u8>) {
                None => width,
                Some(Ok(bits)) if bits <= width => bits,
                Some(_) => return Err(error("must have a prefix length of at most 32, or 128 for IPv6")),
            };
            if number(base) & !prefix(bits, width) != 0 {
                return Err(error("must have no bits behind its prefix"));
            }
            if networks.iter().any(|known| known.base == base && known.bits == bits && *known.az != *az) {
                return Err(error("must be given to one zone only"));
            }
            networks.push(Network { base, bits, az: az.into() });
        }
        networks.sort_by_key(|network| std::cmp::Reverse(network.bits));
        Ok(Self { networks: networks.into() })
    }

    /// The zone of an address; empty where no network holds it.
    pub fn find(&self, address: IpAddr) -> &str {
        let address = address.to_canonical();
        let width = width(address);
        let holds = |network: &&Network| {
            network.base.is_ipv4() == address.is_ipv4()
                && (number(network.base) ^ number(address)) & prefix(network.bits, width) == 0
        };
        self.networks.iter().find(holds).map_or("", |network| &network.az)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The first `bits` of `width`.
fn prefix(bits: u8, width: u8) -> u128 {
    let all = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    all & !all.checked_shr(bits.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_network_decides() {
        let zones = Zones::new([
            ("az-a", "10.1.0.0/16"),
            ("az-b", "10.1.2.0/24"),
            ("az-c", "10.1.2.3"),
            ("az-v6", "2001:db8::/48"),
            ("az-rest", "0.0.0.0/0"),
        ])
        .unwrap();
        for (address, expect) in [
            ("10.1.1.1", "az-a"),
            ("10.1.2.1", "az-b"),
            ("10.1.2.3", "az-c"),
            ("::ffff:10.1.2.3", "az-c"),
            ("192.0.2.1", "az-rest"),
            ("2001:db8::7", "az-v6"),
            ("2001:db8:1::7", ""),
        ] {
            assert_eq!(zones.find(address.parse().unwrap()), expect, "{address}");
        }
        assert_eq!(Zones::default().find("10.0.0.1".parse().unwrap()), "");
    }

    #[test]
    fn what_is_no_network_is_named() {
        for (network, rule) in [
            ("10.1.0.0/33", "prefix length"),
            ("10.1.0.0/x", "prefix length"),
            ("10.1.0.1/24", "no bits behind"),
            ("host/24", "an address"),
            ("", "an address"),
        ] {
            let error = Zones::new([("az-a", network)]).unwrap_err().to_string();
            assert!(
                error.contains(&format!("network \"{network}\" of zone az-a")) && error.contains(rule),
                "{error}"
            );
        }
        assert!(Zones::new([("a", "10.0.0.0/8"), ("b", "10.0.0.0/8")]).is_err());
        assert!(Zones::new([("a", "10.0.0.0/8"), ("a", "10.0.0.0/8")]).is_ok());
    }
}
