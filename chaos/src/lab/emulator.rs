//! The whole network between the sites of a lab, in one thread: reads what a site sends, asks the table, writes it to where it is
//! going when its time has come. Knows IPv4 addresses and nothing above them.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::SmallRng};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    time::{ClockId, clock_gettime},
};

use super::{
    site::Site,
    table::{Fate, Table},
};
use crate::limits::{EMULATOR_IDLE, PACKETS_HELD, PACKETS_PER_TURN, SITE_MTU};

/// A running emulator; ends when dropped.
pub(crate) struct Emulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    table: RwLock<Table>,
    ends: AtomicBool,
    counts: Counts,
}

/// What an emulator did so far.
#[derive(Debug, Default)]
struct Counts {
    carried: AtomicU64,
    bytes: AtomicU64,
    cut: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
    late_us: AtomicU64,
    cpu_ns: AtomicU64,
}

/// A look at [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Carried {
    /// Packets that entered and did not meet a cut line.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Packets that met a cut line.
    pub(crate) cut: u64,
    /// Packets lost by chance or on a full line.
    pub(crate) lost: u64,
    /// Packets lost because the emulator or a site's device had no room: a fault of the tool.
    pub(crate) refused: u64,
    /// The latest that any packet left after its time, in microseconds.
    pub(crate) late_us: u64,
    /// Processor time of the thread, in nanoseconds.
    pub(crate) cpu_ns: u64,
}

struct Held {
    due_us: u64,
    order: u64,
    to: usize,
    packet: Box<[u8]>,
}

struct Worker {
    shared: Arc<Shared>,
    tuns: Vec<OwnedFd>,
    begin: Instant,
    held: BinaryHeap<Reverse<Held>>,
    order: u64,
    free_us: Vec<u64>,
    random: SmallRng,
}

impl Emulator {
    /// Starts to carry packets between `tuns`, which are in the order of the table's sites.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(table: Table, tuns: Vec<OwnedFd>, seed: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            table: RwLock::new(table),
            ends: AtomicBool::new(false),
            counts: Counts::default(),
        });
        let worker = Worker {
            shared: shared.clone(),
            free_us: vec![0; tuns.len() * tuns.len()],
            tuns,
            begin: Instant::now(),
            held: BinaryHeap::new(),
            order: 0,
            random: SmallRng::seed_from_u64(seed),
        };
        let thread = std::thread::Builder::new().name("emulator".into()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Changes the network at once, as one step.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Table)) {
        change(&mut self.shared.table.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// What it did so far.
    pub(crate) fn carried(&self) -> Carried {
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Carried {
            packets: read(&counts.carried),
            bytes: read(&counts.bytes),
            cut: read(&counts.cut),
            lost: read(&counts.lost),
            refused: read(&counts.refused),
            late_us: read(&counts.late_us),
            cpu_ns: read(&counts.cpu_ns),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(mut self) {
        super::prefer_this_thread();
        let mut buffer = vec![0; usize::from(SITE_MTU)];
        while !self.shared.ends.load(Ordering::Acquire) {
            let ready = self.wait();
            for (from, is_ready) in ready.into_iter().enumerate() {
                if is_ready {
                    self.take(from, &mut buffer);
                }
            }
            self.deliver();
            let cpu = clock_gettime(ClockId::ThreadCPUTime);
            let cpu_ns = cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64;
            self.shared.counts.cpu_ns.store(cpu_ns, Ordering::Relaxed);
        }
    }

    fn now_us(&self) -> u64 {
        self.begin.elapsed().as_micros() as u64
    }

    /// Waits for a packet or for the next one to be due; says which sites have sent.
    fn wait(&self) -> Vec<bool> {
        let next_us = self.held.peek().map(|Reverse(held)| held.due_us.saturating_sub(self.now_us()));
        let wait = next_us.map_or(EMULATOR_IDLE, Duration::from_micros).min(EMULATOR_IDLE);
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut files: Vec<PollFd<'_>> =
            self.tuns.iter().map(|tun| PollFd::from_borrowed_fd(tun.as_fd(), PollFlags::IN)).collect();
        let _ = poll(&mut files, Some(&wait));
        files.iter().map(|file| file.revents().contains(PollFlags::IN)).collect()
    }

    /// Reads what a site has sent, not so much at a time that others wait.
    fn take(&mut self, from: usize, buffer: &mut [u8]) {
        let shared = self.shared.clone();
        let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..PACKETS_PER_TURN {
            let Ok(length) = rustix::io::read(&self.tuns[from], &mut *buffer) else { return };
            let packet = &buffer[..length];
            let Some(to) = destination(packet).and_then(|site| table.index(site)) else { continue };
            let Some(line) = table.line(from, to) else { continue };
            let free_us = &mut self.free_us[from * table.sites().len() + to];
            let now_us = self.begin.elapsed().as_micros() as u64;
            match line.carry(now_us, length, free_us, &mut self.random) {
                Fate::Cut => count(&shared.counts.cut, 1),
                Fate::Lost => count(&shared.counts.lost, 1),
                Fate::Arrives { at_us, again_us } => {
                    count(&shared.counts.carried, 1);
                    count(&shared.counts.bytes, length as u64);
                    for due_us in [Some(at_us), again_us].into_iter().flatten() {
                        self.hold(due_us, to, packet);
                    }
                }
            }
        }
    }

    fn hold(&mut self, due_us: u64, to: usize, packet: &[u8]) {
        if self.held.len() >= PACKETS_HELD {
            return count(&self.shared.counts.refused, 1);
        }
        self.order += 1;
        self.held.push(Reverse(Held { due_us, order: self.order, to, packet: packet.into() }));
    }

    fn deliver(&mut self) {
        let now_us = self.now_us();
        while let Some(Reverse(held)) = self.held.peek()
            && held.due_us <= now_us
        {
            let Some(Reverse(held)) = self.held.pop() else { return };
            self.shared.counts.late_us.fetch_max(now_us - held.due_us, Ordering::Relaxed);
            if rustix::io::write(&self.tuns[held.to], &held.packet).is_err() {
                count(&self.shared.counts.refused, 1);
            }
        }
    }
}

/// Where an IPv4 packet is going.
fn destination(packet: &[u8]) -> Option<Site> {
    let is_ipv4 = packet.first()? >> 4 == 4;
    let octets: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    is_ipv4.then(|| Site::of(Ipv4Addr::from(octets))).flatten()
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_us, self.order).cmp(&(other.due_us, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_from_packets() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&[10, 1, 2, 1]);
        assert_eq!(destination(&packet), Some(Site::Az { region: 0, az: 1 }));
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None);
        assert_eq!(destination(&packet[..10]), None);
        assert_eq!(destination(&[]), None);
    }
}
