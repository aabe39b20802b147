//! Stored answers as they travel between nodes. Owns that an answer does not get younger at another node, whatever the
//! clocks of the two say.

use http::StatusCode;
use tidegate_cache::range::Stored;
use tidegate_proto::{
    cache::EntryV1,
    limits::{CACHE_BODY_BYTES_MAX, CACHE_KEY_BYTES_MAX, CACHE_ZONE_ENTRY_BYTES_MAX},
};

pub(crate) use super::super::form::{read_names, write_names};
use super::super::{
    entry::{Entry, Fresh},
    form::{read_headers, read_origin, read_terms, write_headers, write_origin, write_terms},
};

/// A moment on this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// On the clock of the shards.
    pub(crate) ns: u64,
    /// In seconds since 1970, for dates.
    pub(crate) s: u64,
}

/// An answer as it leaves; `None` for one that is too large, or only a part.
pub(crate) fn write(entry: &Entry, now_ns: u64) -> Option<EntryV1> {
    if !entry.is_whole() || entry.weight() > CACHE_ZONE_ENTRY_BYTES_MAX as u64 {
        return None;
    }
    Some(EntryV1 {
        key: entry.key.to_vec(),
        status: entry.status.as_u16(),
        headers: write_headers(&entry.headers),
        body: entry.body.to_vec(),
        resident_ns: now_ns.saturating_sub(entry.stored_ns),
        terms: write_terms(&entry.terms),
        origin: write_origin(&entry.origin),
        sequence: entry.survived(),
    })
}

/// An answer that arrived and left its node at `sent` or later; `None` for one that is none.
pub(crate) fn read(entry: EntryV1, sent: Moment) -> Option<Entry> {
    let EntryV1 { key, status, headers, body, resident_ns, terms, origin, sequence } = entry;
    if key.len() > CACHE_KEY_BYTES_MAX || body.len() > CACHE_BODY_BYTES_MAX {
        return None;
    }
    let fresh = Fresh {
        status: StatusCode::from_u16(status).ok()?,
        headers: read_headers(headers)?,
        part: Some(Stored::whole(body.len() as u64)),
        body: body.into(),
        stored_ns: sent.ns.saturating_sub(resident_ns),
        stored_s: sent.s.saturating_sub(resident_ns / 1_000_000_000),
        // This node's clock may have begun after the answer came: what lies before is part of its age.
        terms: read_terms(&terms, resident_ns.saturating_sub(sent.ns))?,
        origin: read_origin(origin),
        sequence,
    };
    Some(Entry::new(&key, fresh))
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use tidegate_cache::{terms::Terms, vary::Vary};
    use tidegate_proto::limits::CACHE_VARY_NAMES_MAX;

    use super::{super::super::entry::Origin, *};

    const SECOND: u64 = 1_000_000_000;

    /// An answer that was asked for when the clock began.
    pub(crate) fn entry(key: &[u8]) -> Entry {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        headers.insert("x-odd", HeaderValue::from_bytes(b"\xe4").unwrap());
        let vary = Vary { names: vec![HeaderName::from_static("accept"), HeaderName::from_static("x-lang")] };
        let fresh = Fresh {
            status: StatusCode::IM_A_TEAPOT,
            headers,
            body: Bytes::from_static(b"body"),
            part: Some(Stored::whole(4)),
            stored_ns: 0,
            stored_s: 1_000,
            terms: Terms {
                age_s: 3,
                lifetime_s: 60,
                stale_while_revalidate_s: 1,
                stale_if_error_s: Some(2),
                must_revalidate: true,
                validate_always: false,
                has_validator: true,
                vary,
            },
            origin: Origin {
                verb: "GET".into(),
                resource: "/p/{id}".into(),
                path: "/p/1".into(),
                tags: ["t".into()].into(),
            },
            sequence: 5,
        };
        Entry::new(key, fresh)
    }

    #[test]
    fn an_answer_arrives_as_it_left() {
        let left = entry(b"key");
        let travelling = write(&left, 2 * SECOND).unwrap();
        let arrived = read(travelling, Moment { ns: 100 * SECOND, s: 7_000 }).unwrap();
        assert_eq!((&*arrived.key, arrived.status, &arrived.body), (&*left.key, left.status, &left.body));
        assert_eq!((&arrived.headers, &arrived.head), (&left.headers, &left.head));
        assert_eq!((&arrived.terms, arrived.survived()), (&left.terms, 5));
        assert_eq!(format!("{:?}", arrived.origin), format!("{:?}", left.origin));
        assert_eq!((arrived.stored_ns, arrived.stored_s), (98 * SECOND, 6_998));
    }

    #[test]
    fn an_answer_never_gets_younger() {
        // Time at the sender, and the receiver's clock; both in tenths of seconds.
        for (sender, receiver) in [(0, 0), (20, 1_000), (20, 20), (25, 10), (300, 0), (21, 20), (10_000, 5)] {
            let tenths = SECOND / 10;
            let left = entry(b"key");
            let sent_ns = sender * tenths;
            let arrived =
                read(write(&left, sent_ns).unwrap(), Moment { ns: receiver * tenths, s: 0 }).unwrap();
            let case = format!("{sender} {receiver}");
            for later in [0, 50, 270, 280, 500, 570, 600] {
                let (here, there) = ((receiver + later) * tenths, (sender + later) * tenths);
                assert!(arrived.age_s(here) >= left.age_s(there), "{case} {later}");
                assert!(arrived.age_s(here) <= left.age_s(there) + 1, "{case} {later}");
                assert!(!arrived.is_fresh(here) || left.is_fresh(there), "{case} {later}");
            }
            if receiver >= sender {
                assert_eq!(
                    arrived.fresh_until_ns - receiver * tenths,
                    left.fresh_until_ns.saturating_sub(sent_ns),
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_one() {
        let good = write(&entry(b"key"), 0).unwrap();
        let read = |change: &dyn Fn(&mut EntryV1)| {
            let mut changed = good.clone();
            change(&mut changed);
            read(changed, Moment { ns: 0, s: 0 }).is_some()
        };
        assert!(read(&|_| {}));
        for change in [
            (&|one: &mut EntryV1| one.status = 99) as &dyn Fn(&mut EntryV1),
            &|one| one.key = vec![0; CACHE_KEY_BYTES_MAX + 1],
            &|one| one.body = vec![0; CACHE_BODY_BYTES_MAX + 1],
            &|one| one.headers[0].name = "a b".into(),
            &|one| one.headers[0].value = b"a\r\nb".to_vec(),
            &|one| one.terms.vary = vec!["a:".into()],
            &|one| one.terms.vary = vec!["a".into(); CACHE_VARY_NAMES_MAX + 1],
        ] {
            assert!(!read(change));
        }
    }
}
