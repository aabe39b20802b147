//! Which certificate answers which host name. Readers take no lock and allocate nothing; a table is built elsewhere and swapped in.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Identity;

/// The certificates that listeners serve now. Handshakes under way and open connections keep what they began with.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Arc<ArcSwap<Table>>);

/// Certificates by host name.
#[derive(Clone, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    fallback: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Serves `table` from the next handshake on.
    pub fn replace(&self, table: Table) {
        self.0.store(Arc::new(table));
    }

    /// Whether a client that asks for this name, in lower case, gets a certificate.
    pub(super) fn has(&self, name: Option<&str>) -> bool {
        self.0.load().find(name).is_some()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().find(hello.server_name()).cloned()
    }
}

impl Table {
    /// Serves `identity` for a DNS name in lower case; `*.example.com` stands for exactly one label in place of the star. Of
    /// two identities for one name the later wins.
    pub fn insert(&mut self, dns_name: &str, identity: &Identity) {
        let (names, name) = match dns_name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, dns_name),
        };
        names.insert(name.into(), Arc::clone(&identity.0));
    }

    /// Serves `identity` to clients that name no host, or one that is not in the table.
    pub fn set_default(&mut self, identity: &Identity) {
        self.fallback = Some(Arc::clone(&identity.0));
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name);
            let by_parent = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(by_parent)
        });
        named.or(self.fallback.as_ref())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("names", &(self.exact.len() + self.wildcard.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> Identity {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn exact_then_wildcard_then_default() {
        let names = ["a.example.com", "*.example.com", "*.b.example.com", "default", "later"];
        let identities = names.map(identity);
        let [exact, wide, deep, default, later] = &identities;
        let mut table = Table::default();
        table.insert("a.example.com", exact);
        table.insert("*.example.com", wide);
        table.insert("*.b.example.com", deep);
        let name_of = |table: &Table, name: Option<&str>| {
            let found = table.find(name)?;
            identities.iter().position(|identity| Arc::ptr_eq(&identity.0, found)).map(|at| names[at])
        };
        for (asked, expect) in [
            (Some("a.example.com"), Some("a.example.com")),
            (Some("a.example.com."), Some("a.example.com")),
            (Some("c.example.com"), Some("*.example.com")),
            (Some("b.example.com"), Some("*.example.com")),
            (Some("x.b.example.com"), Some("*.b.example.com")),
            (Some("x.a.example.com"), None),
            (Some("example.com"), None),
            (Some("*.example.com"), Some("*.example.com")),
            (Some("com"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(name_of(&table, asked), expect, "{asked:?}");
            let mut with_default = table.clone();
            with_default.set_default(default);
            assert_eq!(name_of(&with_default, asked), expect.or(Some("default")), "{asked:?}");
        }
        table.insert("a.example.com", later);
        assert_eq!(name_of(&table, Some("a.example.com")), Some("later"));
    }

    #[test]
    fn a_replaced_table_is_what_the_next_handshake_sees() {
        let certificates = Certificates::default();
        let listener = certificates.clone();
        assert!(!listener.has(None));
        let mut table = Table::default();
        table.insert("a.test", &identity("a.test"));
        certificates.replace(table);
        assert!(listener.has(Some("a.test")) && !listener.has(None));
        certificates.replace(Table::default());
        assert!(!listener.has(Some("a.test")));
    }
}
