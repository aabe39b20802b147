//! Through which APIs a request came: counted in its trace, where AWS counts functions that call each other (`Lineage` in
//! `X-Amzn-Trace-Id`), so that an API that ends up at itself is stopped. Only requests from a gateway are counted: to all others a trace
//! is kept as it is.

use std::fmt::Write;

use tidegate_proto::limits::{GATEWAY_HOPS_MAX, LOOP_VISITS_MAX};
use xxhash_rust::xxh3::xxh3_64;

/// Header by which a gateway says which API calls.
pub(crate) const API_HEADER: &str = "x-amzn-apigateway-api-id";
const FIELD: &str = "Lineage=";

/// A request is going round in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop;

/// The trace of a request that another API sent to `api`, with this visit.
///
/// # Errors
/// [`Loop`] when it was here, or on its way, too often.
pub(crate) fn visited(trace: &str, api: &[u8]) -> Result<String, Loop> {
    let own = xxh3_64(&api.to_ascii_lowercase()) as u32;
    let (mut before, mut visits, mut hops) = (String::with_capacity(trace.len() + 20), 1_u32, 1_u32);
    let mut others = String::new();
    for part in trace.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let Some(line) = part.strip_prefix(FIELD) else {
            before.push_str(if before.is_empty() { "" } else { ";" });
            before.push_str(part);
            continue;
        };
        for (api, count) in line.split('|').filter_map(entry) {
            hops = hops.saturating_add(count);
            if api == own {
                visits = visits.saturating_add(count);
            } else {
                // A text takes what is written to it.
                let _ = write!(others, "|{api:08x}:{count}");
            }
        }
    }
    if visits > LOOP_VISITS_MAX || hops > GATEWAY_HOPS_MAX {
        return Err(Loop);
    }
    let _ = write!(before, ";{FIELD}{own:08x}:{visits}{others}");
    Ok(before)
}

fn entry(text: &str) -> Option<(u32, u32)> {
    let (api, count) = text.split_once(':')?;
    Some((u32::from_str_radix(api, 16).ok()?, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::limits::TRACE_BYTES_MAX;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";

    #[test]
    fn visits_are_counted_and_end() {
        for (apis, hops) in [(1, LOOP_VISITS_MAX), (2, GATEWAY_HOPS_MAX), (40, GATEWAY_HOPS_MAX)] {
            let mut trace = ROOT.to_owned();
            for hop in 0..hops {
                trace = visited(&trace, format!("api{}", hop % apis).as_bytes()).unwrap();
                assert!(trace.starts_with(ROOT) && trace.len() <= TRACE_BYTES_MAX, "{trace}");
            }
            assert_eq!(visited(&trace, b"api0"), Err(Loop), "{apis} {trace}");
        }
    }

    #[test]
    fn what_is_no_count_does_not_count() {
        for (given, kept) in [
            (ROOT.to_owned(), format!("{ROOT};Lineage=OWN:1")),
            (format!("{ROOT};Lineage="), format!("{ROOT};Lineage=OWN:1")),
            (format!("Lineage=ffffffff:2|x|:|1:-1;{ROOT}; "), format!("{ROOT};Lineage=OWN:1|ffffffff:2")),
        ] {
            let own = format!("{:08x}", xxh3_64(b"api1") as u32);
            assert_eq!(visited(&given, b"API1"), Ok(kept.replace("OWN", &own)), "{given}");
        }
        assert_eq!(visited(&format!("{ROOT};Lineage=1:4294967295"), b"api1"), Err(Loop));
    }
}
