//! The one loop of the load process: every socket of clients and origin, and the orders.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::AsFd,
    time::Duration,
};

use crate::peers::{
    load::{
        client::Client,
        listen::listen,
        origin::{OriginConnection, answer},
        poll::{Interest, Poll, Ready},
        run::Run,
    },
    order::{Order, Outcome, Pace},
};

const LISTENER: u64 = u64::MAX;
const ORDERS: u64 = u64::MAX - 1;
/// A crowd of idle connections must leave the gateway in peace, so its run does not busy-poll.
const UNHURRIED: Duration = Duration::from_millis(1);

/// All sockets of the process.
pub(crate) struct Engine {
    poll: Poll,
    listener: TcpListener,
    slots: Vec<Slot>,
    free: Vec<usize>,
    ready: Vec<Ready>,
    scratch: Vec<u8>,
    answer: Vec<u8>,
    order_waits: bool,
}

enum Slot {
    Free,
    Origin(Box<OriginConnection>),
    Client(Box<Client>),
}

impl Engine {
    /// An origin on a free port of 127.0.0.1, and no clients.
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        poll.add(&listener, LISTENER, Interest::Read)?;
        Ok(Self {
            poll,
            listener,
            slots: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            scratch: vec![0; crate::peers::limits::READ_BYTES],
            answer: answer(128, false),
            order_waits: false,
        })
    }

    /// Where the origin listens.
    pub(crate) fn origin(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Lets [`Engine::await_order`] see when there is something to read.
    pub(crate) fn watch_orders(&mut self, source: impl AsFd) -> io::Result<()> {
        self.poll.add(source, ORDERS, Interest::Read)
    }

    /// Serves the origin until there is an order, or no more orders will come.
    pub(crate) fn await_order(&mut self) -> io::Result<()> {
        while !std::mem::take(&mut self.order_waits) {
            self.turn(None, None)?;
        }
        Ok(())
    }

    /// Carries one order out.
    pub(crate) fn perform(&mut self, order: &Order) -> Result<Outcome, String> {
        self.answer = answer(order.origin_body_bytes, order.is_cached);
        let mut run = Run::new(order)?;
        let timeout = if order.pace == Pace::Idle { UNHURRIED } else { Duration::ZERO };
        loop {
            while run.is_sending() && run.opened < run.connections_due() {
                self.open(&mut run);
            }
            self.send_overdue(&mut run);
            self.turn(Some(timeout), Some(&mut run)).map_err(|error| error.to_string())?;
            // Orders come one at a time, so this is their end: the runner is gone.
            if self.order_waits {
                return Err("nobody waits for the answer".into());
            }
            let slots = &self.slots;
            if run.advance(|| in_flight(slots)) {
                break;
            }
        }
        for slot in &mut self.slots {
            if let Slot::Client(_) = slot
                && let Slot::Client(client) = std::mem::replace(slot, Slot::Free)
            {
                client.close();
            }
        }
        self.free = (0..self.slots.len()).filter(|at| matches!(self.slots[*at], Slot::Free)).collect();
        Ok(run.finish())
    }

    /// Waits once and handles what is ready.
    fn turn(&mut self, timeout: Option<Duration>, mut run: Option<&mut Run<'_>>) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(timeout, &mut ready)?;
        for event in ready.drain(..) {
            match event.token {
                LISTENER => self.accept(),
                ORDERS => self.order_waits = true,
                token => self.handle(token as usize, event, run.as_deref_mut()),
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let Ok(connection) = OriginConnection::new(stream) else { continue };
            let at = self.place();
            if self.poll.add(&connection, at as u64, Interest::Read).is_ok() {
                self.slots[at] = Slot::Origin(Box::new(connection));
            } else {
                self.free.push(at);
            }
        }
    }

    fn handle(&mut self, at: usize, event: Ready, run: Option<&mut Run<'_>>) {
        // A connection that ended earlier in this turn may have left an event behind.
        let Some(slot) = self.slots.get_mut(at) else { return };
        match std::mem::replace(slot, Slot::Free) {
            Slot::Free => {}
            Slot::Origin(mut connection) => {
                let before = connection.requests();
                match connection.ready(event.readable, &self.answer, &mut self.scratch) {
                    Ok(change) => {
                        if let Some(run) = run {
                            run.origin_requests += connection.requests() - before;
                        }
                        self.rewatch(&*connection, at, change);
                        self.slots[at] = Slot::Origin(connection);
                    }
                    Err(_) => self.free.push(at),
                }
            }
            Slot::Client(client) => match run {
                Some(run) => self.client_ready(at, client, event, run),
                None => self.free.push(at),
            },
        }
    }

    /// Lets a client read, counts its answers, and decides what it does next.
    fn client_ready(&mut self, at: usize, mut client: Box<Client>, event: Ready, run: &mut Run<'_>) {
        let mut answers = std::mem::take(&mut run.answers);
        let ended = match event.readable {
            true => client.read(&mut self.scratch, &mut answers).err(),
            false => None,
        };
        let now_ns = run.now_ns();
        let count = answers.len();
        for (message, due_ns) in answers.drain(..) {
            run.tally.answer(message, now_ns.saturating_sub(due_ns));
        }
        run.answers = answers;
        run.heard += count;
        if count > 0 && !run.order.keep_alive {
            client.close();
            return self.replace(at, run);
        }
        if let Some(error) = ended {
            run.tally.error("broken connection", || error.to_string());
            return self.replace(at, run);
        }
        match run.order.pace {
            Pace::Closed if run.is_sending() => (0..count).for_each(|_| client.request(now_ns)),
            Pace::Closed => {}
            Pace::Open(_) => {
                for _ in 0..count {
                    match run.next_overdue() {
                        Some(due_ns) => client.request(due_ns),
                        None => run.resting.push(at),
                    }
                }
            }
            Pace::Idle => {}
        }
        self.keep(at, client, run);
    }

    /// Sends what a client has to send and puts it back into its place.
    fn keep(&mut self, at: usize, mut client: Box<Client>, run: &mut Run<'_>) {
        match client.flush() {
            Ok(change) => {
                self.rewatch(&*client, at, change);
                self.slots[at] = Slot::Client(client);
            }
            Err(error) => {
                run.tally.error("broken connection", || error.to_string());
                self.replace(at, run);
            }
        }
    }

    /// A client's place is empty: a new client takes it when there is more to do.
    fn replace(&mut self, at: usize, run: &mut Run<'_>) {
        run.resting.retain(|resting| *resting != at);
        self.free.push(at);
        if run.is_sending() && !run.tally.is_hopeless() && run.order.pace != Pace::Idle {
            self.open(run);
        }
    }

    /// Opens a client connection and makes its first requests.
    fn open(&mut self, run: &mut Run<'_>) {
        run.opened = run.opened.wrapping_add(1);
        let mut client = match run.dialer.connect(run.opened) {
            Ok(client) => Box::new(client),
            Err(error) => return run.tally.error("no connection", || error.to_string()),
        };
        let at = self.place();
        if let Err(error) = self.poll.add(&*client, at as u64, Interest::Read) {
            self.free.push(at);
            return run.tally.error("no connection", || error.to_string());
        }
        let now_ns = run.now_ns();
        match run.order.pace {
            Pace::Closed => (0..run.order.streams).for_each(|_| client.request(now_ns)),
            Pace::Open(_) => run.resting.push(at),
            Pace::Idle => client.request(now_ns),
        }
        self.keep(at, client, run);
    }

    /// Makes the requests that an open pace has made due, as far as connections rest.
    fn send_overdue(&mut self, run: &mut Run<'_>) {
        if !run.become_due() {
            return;
        }
        while let Some(at) = run.resting.pop() {
            let Some(due_ns) = run.next_overdue() else {
                run.resting.push(at);
                return;
            };
            if let Slot::Client(mut client) = std::mem::replace(&mut self.slots[at], Slot::Free) {
                client.request(due_ns);
                self.keep(at, client, run);
            }
        }
    }

    fn rewatch(&self, source: impl AsFd, at: usize, change: Option<Interest>) {
        if let Some(interest) = change {
            // It fails only for a socket that is closed, whose next read says so.
            let _ = self.poll.change(source, at as u64, interest);
        }
    }

    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            self.slots.len() - 1
        })
    }
}

fn in_flight(slots: &[Slot]) -> usize {
    let of = |slot: &Slot| if let Slot::Client(client) = slot { client.in_flight() } else { 0 };
    slots.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::order::{Protocol, Target};

    #[test]
    fn a_gateway_that_asks_the_origin_again_does_not_answer_from_a_cache() {
        let mut engine = Engine::new().unwrap();
        // Clients that speak to the origin itself are what a gateway without a cache makes of them.
        let address = engine.origin().unwrap();
        let (host, path) = ("localhost".to_owned(), "/cached/0".to_owned());
        let mut order = Order {
            gateway_pid: None,
            gateway_processor: None,
            target: Target { address, host, path, api_keys: Vec::new() },
            protocol: Protocol::Http1,
            certificate: None,
            connections: 4,
            streams: 1,
            keep_alive: true,
            request_body_bytes: 0,
            origin_body_bytes: 128,
            expected_body_bytes: 128,
            is_cached: false,
            pace: Pace::Closed,
            warm_up_ms: 1,
            measure_ms: 20,
        };
        let proxied = engine.perform(&order).unwrap();
        assert!(proxied.answered > 1 && proxied.complaint().is_none(), "{proxied:?}");
        order.is_cached = true;
        let complaint = engine.perform(&order).unwrap().complaint().unwrap();
        assert!(
            complaint.starts_with("1 x not from the cache; first: not from the cache: the origin saw "),
            "{complaint}"
        );
    }
}
