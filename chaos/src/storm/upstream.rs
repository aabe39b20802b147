//! The customers' backends: one in each zone, in this process, that answers with the token it was asked with.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::{clock::Clock, lab::Lab, limits::RECORDS};

/// Where every zone finds its own upstream, whichever zone that is.
pub(crate) const NEAR: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 80)), 8_081);
/// Port of an upstream at its zone's address.
pub(crate) const PORT: u16 = 8_081;
/// Path that is limited.
pub(crate) const LIMITED: &str = "/limited";

/// When requests to [`LIMITED`] arrived, over all zones: region of the client, and microseconds of the run.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<Vec<(u8, u64)>>>);

impl Arrivals {
    fn note(&self, region: u8, at_us: u64) {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() < RECORDS {
            arrivals.push((region, at_us));
        }
    }

    /// The most arrivals of one region above `rate` per second and `burst` in any stretch of time: a limit is the region's.
    pub(crate) fn excess(&self, rate: f64, burst: f64) -> f64 {
        let mut regions = BTreeMap::<u8, Vec<u64>>::new();
        for (region, at_us) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            regions.entry(*region).or_default().push(*at_us);
        }
        let of = |arrivals: &mut Vec<u64>| {
            arrivals.sort_unstable();
            excess(arrivals, rate, burst)
        };
        regions.values_mut().map(of).fold(0.0, f64::max)
    }
}

/// Starts the upstreams of all zones.
pub(crate) fn start(lab: &Lab, clock: Clock, arrivals: &Arrivals) {
    for site in lab.extent.azs() {
        for address in [NEAR, SocketAddr::from((lab.address(site), PORT))] {
            lab.space(site).spawn(serve(address, clock, arrivals.clone()));
        }
    }
}

/// On loopback all zones share one near address; the first to bind it serves them.
async fn serve(address: SocketAddr, clock: Clock, arrivals: Arrivals) {
    let Ok(listener) = TcpListener::bind(address).await else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                if request.uri().path() == LIMITED {
                    arrivals.note(region_of(&request), clock.now_us());
                }
                std::future::ready(Ok::<_, Infallible>(answer(&request)))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A token begins with the region of its client.
fn region_of(request: &Request<Incoming>) -> u8 {
    let token = request.headers().get("x-storm-token").and_then(|token| token.to_str().ok());
    token.and_then(|token| token.split('-').next()?.parse().ok()).unwrap_or_default()
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let token = request.headers().get("x-storm-token").map(|token| Bytes::copy_from_slice(token.as_bytes()));
    Response::new(Full::new(token.unwrap_or_default()))
}

/// Over all windows between two arrivals: what arrived, less what a bucket allows in the time between.
fn excess(sorted_us: &[u64], rate: f64, burst: f64) -> f64 {
    // With the level of a bucket that may go below zero, the deepest level is the largest excess of any window.
    let (mut level, mut last_us, mut worst) =
        (burst, sorted_us.first().copied().unwrap_or_default(), 0.0_f64);
    for at_us in sorted_us {
        level = (level + (at_us - last_us) as f64 / 1e6 * rate).min(burst) - 1.0;
        last_us = *at_us;
        worst = worst.max(-level);
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_is_what_a_bucket_would_not_have_let_through() {
        let every = |ms: u64, count: u64| (0..count).map(|i| i * ms * 1_000).collect::<Vec<u64>>();
        assert_eq!(excess(&every(50, 200), 20.0, 20.0), 0.0);
        assert_eq!(excess(&every(0, 20), 20.0, 20.0), 0.0);
        assert_eq!(excess(&every(0, 25), 20.0, 20.0), 5.0);
        // 100 a second for 2 s against 20 a second: 200 arrive, 20 + 40 are allowed.
        assert!((excess(&every(10, 200), 20.0, 20.0) - 140.0).abs() < 1.0);
        assert_eq!(excess(&[], 20.0, 20.0), 0.0);
        let arrivals = Arrivals::default();
        (0..60).for_each(|i| arrivals.note(i % 3, 0));
        assert_eq!(arrivals.excess(20.0, 20.0), 0.0);
        (0..5).for_each(|_| arrivals.note(1, 0));
        assert_eq!(arrivals.excess(20.0, 20.0), 5.0);
    }
}
