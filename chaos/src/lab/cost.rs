//! What the emulated network itself costs, measured in the lab before anything runs in it.

use std::{net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep, timeout},
};

use super::{
    Lab, Space,
    site::{Ground, Site},
};
use crate::limits::{COST_PROBES, COST_TIME};

/// Payload of a packet of the measurement, in bytes.
const PAYLOAD: usize = 1_200;
const PORT: u16 = 9;

/// Figures of an emulator without delays.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cost {
    /// Median round trip between two sites without a delay, in microseconds.
    pub(crate) rtt_us: u64,
    /// Packets per second that arrive when more are sent.
    pub(crate) packets_per_s: u64,
    /// Megabits per second of them.
    pub(crate) mbit_per_s: u64,
    /// Processor time per packet, in nanoseconds.
    pub(crate) cpu_ns_per_packet: u64,
}

/// Measures between the observer and the clients of the first region; of namespaces only.
pub(crate) async fn measure(lab: &Lab) -> Cost {
    let (one, other) = (lab.space(Site::Observer), lab.space(Site::Clients { region: 0 }));
    let rtt_us = round_trip_us(one, other).await;
    let before = lab.carried();
    let arrived = flood(one, other).await;
    let after = lab.carried();
    let packets = (after.packets - before.packets).max(1);
    let packets_per_s = arrived * 1_000 / COST_TIME.as_millis() as u64;
    Cost {
        rtt_us,
        packets_per_s,
        mbit_per_s: packets_per_s * (PAYLOAD as u64 + 28) * 8 / 1_000_000,
        cpu_ns_per_packet: (after.cpu_ns - before.cpu_ns) / packets,
    }
}

async fn round_trip_us(one: &Space, other: &Space) -> u64 {
    let target = SocketAddr::from((other.site.address(Ground::Namespaces), PORT));
    let echo = other.spawn(async move {
        let socket = UdpSocket::bind(target).await?;
        let mut buffer = [0; PAYLOAD];
        for _ in 0..COST_PROBES {
            let (length, from) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..length], from).await?;
        }
        std::io::Result::Ok(())
    });
    let own = one.site.address(Ground::Namespaces);
    let asked = one.spawn(async move {
        let socket = UdpSocket::bind((own, 0)).await?;
        let (mut trips, mut buffer) = (Vec::new(), [0; PAYLOAD]);
        while trips.len() < COST_PROBES {
            let begin = Instant::now();
            socket.send_to(&[0; 64], target).await?;
            if timeout(Duration::from_millis(100), socket.recv_from(&mut buffer)).await.is_ok() {
                trips.push(begin.elapsed().as_micros() as u64);
            }
        }
        std::io::Result::Ok(trips)
    });
    let trips = timeout(COST_TIME * 10, asked).await;
    echo.abort();
    let mut trips = trips.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default();
    trips.sort_unstable();
    trips.get(trips.len() / 2).copied().unwrap_or_default()
}

/// Packets that arrive while as many are sent as the sender can.
async fn flood(one: &Space, other: &Space) -> u64 {
    let target = SocketAddr::from((other.site.address(Ground::Namespaces), PORT + 1));
    let counter = other.spawn(async move {
        let Ok(socket) = UdpSocket::bind(target).await else { return 0 };
        let (mut arrived, mut buffer) = (0, [0; PAYLOAD]);
        let deadline = Instant::now() + COST_TIME;
        while let Ok(Ok(_)) = tokio::time::timeout_at(deadline, socket.recv_from(&mut buffer)).await {
            arrived += 1;
        }
        arrived
    });
    let own = one.site.address(Ground::Namespaces);
    let sender = one.spawn(async move {
        let Ok(socket) = UdpSocket::bind((own, 0)).await else { return };
        while socket.send_to(&[0; PAYLOAD], target).await.is_ok() {}
    });
    sleep(COST_TIME).await;
    sender.abort();
    counter.await.unwrap_or_default()
}
