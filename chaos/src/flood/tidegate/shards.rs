//! The ledger's side of every node: voters that talk, leaders that hear reports, decide and answer. Owns the clockwork around a
//! seat; what is decided is the product's matter.

use std::rc::Rc;

use tidegate_proto::ledger::{GrantV1, MessageV1};
use tidegate_throttle::GLOBAL;

use super::{
    ANNOUNCE_NS, Event, Tidegate,
    raft::{ELECTION_NS, HEARTBEAT_NS, Letter, Message},
    seat::Seat,
};
use crate::flood::{
    moment::{MS, US},
    world::{self, World},
};

/// A write to disk: at least, and the mean of what comes on top.
const WRITE_NS: u64 = 500 * US;
const WRITE_MORE_NS: f64 = 1.0 * MS as f64;

impl Tidegate {
    pub(super) fn reported(
        &mut self,
        world: &mut World<Event>,
        event: &world::Event<Event>,
        shard: usize,
        bytes: &[u8],
    ) {
        let Ok(MessageV1::Report { report, .. }) = MessageV1::decode(bytes) else {
            self.oracle.complain("a report cannot be read".into());
            return;
        };
        let clock = world.clock(event.to);
        let Some(catalog) = self.nodes[event.to].as_ref().map(|process| Rc::clone(process.catalog())) else {
            return;
        };
        let Some(seat) = self.seat(shard, event.to) else { return };
        if seat.hear(clock, &report, &catalog.index) {
            return;
        }
        let known = self.nodes[event.to].as_ref().map_or((0, event.to), |process| process.leader(shard));
        world.stream_later(0, event.to, event.from, Event::Elsewhere(shard, known.0, known.1));
    }

    pub(super) fn tick(&mut self, world: &mut World<Event>, node: usize, shard: usize) {
        let (clock, day) = (world.clock(node), self.day);
        world.after(self.settings.tick_ns, node, Event::Tick(shard));
        let Some(catalog) = self.nodes[node].as_ref().map(|process| Rc::clone(process.catalog())) else {
            return;
        };
        let Some(seat) = self.seat(shard, node) else { return };
        seat.tick(clock, &catalog.index, day);
        let upward = seat.report(clock, &catalog.index);
        self.settle(world, node, shard);
        if let Some((report, top)) = upward.zip(self.layout.site(node, GLOBAL)) {
            self.report(world, node, top, report);
        }
    }

    /// After anything that a voter did: its letters leave, its keeper comes or goes, and what is agreed on is answered.
    pub(super) fn settle(&mut self, world: &mut World<Event>, node: usize, shard: usize) {
        let (clock, timing, compares) = (world.clock(node), self.settings.timing, self.settings.look_ns > 0);
        let Some(seat) = self.seat(shard, node) else { return };
        seat.follow(clock, timing);
        let answers = seat.answers(clock);
        let letters = seat.voter.letters();
        for (holder, grant) in answers {
            self.grant(world, node, shard, holder, grant);
        }
        for Letter { to, message, writes } in letters {
            let more = self.chance.exponential(WRITE_MORE_NS) as u64;
            let disk = if writes { WRITE_NS + more } else { 0 };
            world.stream_later(disk, node, to, Event::Raft(shard, Rc::new(message)));
        }
        if compares
            && let Some(at) = self.layout.sites[shard].voters.iter().position(|voter| *voter == node)
            && let Some(seat) = self.seats[shard].get(at)
        {
            self.oracle.compare(shard, &seat.voter);
        }
    }

    pub(super) fn grant(
        &mut self,
        world: &mut World<Event>,
        node: usize,
        shard: usize,
        holder: u64,
        grant: GrantV1,
    ) {
        let Some(to) = (holder as usize).checked_sub(1).filter(|to| *to < self.nodes.len()) else {
            self.oracle.complain(format!("a grant for holder {holder}, which never was"));
            return;
        };
        match (MessageV1::Grant { group: shard as u64, grant }).encode() {
            Ok(bytes) => world.send(node, to, bytes.len(), Event::Grant(shard, Rc::new(bytes))),
            Err(reason) => self.oracle.complain(format!("a grant cannot be sent: {reason}")),
        }
    }

    pub(super) fn beat(&mut self, world: &mut World<Event>, node: usize, shard: usize) {
        let patience = self.patience();
        let Some(seat) = self.seat(shard, node) else { return };
        seat.voter.look(world.now, patience);
        seat.voter.spread();
        world.after(HEARTBEAT_NS, node, Event::Beat(shard));
        self.settle(world, node, shard);
    }

    pub(super) fn announce(&mut self, world: &mut World<Event>, node: usize, shard: usize) {
        world.after(ANNOUNCE_NS, node, Event::Announce(shard));
        let Some(seat) = self.seat(shard, node).filter(|seat| seat.voter.is_ready()) else { return };
        let term = seat.voter.term();
        for other in (0..self.nodes.len()).filter(|other| self.layout.concerns(shard, *other)) {
            world.stream_later(0, node, other, Event::Leads(shard, term, node));
        }
    }

    pub(super) fn voted(
        &mut self,
        world: &mut World<Event>,
        event: &world::Event<Event>,
        shard: usize,
        message: Message,
    ) {
        let patience = self.patience();
        let Some(seat) = self.seat(shard, event.to) else { return };
        let led = seat.voter.is_ready();
        seat.voter.hear(world.now, event.from, message, patience);
        let leads = seat.voter.is_ready();
        self.settle(world, event.to, shard);
        if leads && !led {
            self.announce_now(world, event.to, shard);
        }
    }

    pub(super) fn announce_now(&mut self, world: &mut World<Event>, node: usize, shard: usize) {
        let Some(term) = self.seat(shard, node).map(|seat| seat.voter.term()) else { return };
        for other in (0..self.nodes.len()).filter(|other| self.layout.concerns(shard, *other)) {
            world.stream_later(0, node, other, Event::Leads(shard, term, node));
        }
    }

    pub(super) fn restart(&mut self, world: &mut World<Event>, node: usize) {
        for shard in 0..self.seats.len() {
            let patience = self.patience();
            let result = self.seat(shard, node).map(|seat| seat.voter.restart(world.now, patience));
            if let Some(Err(reason)) = result {
                self.oracle.complain(reason);
            }
        }
        self.boot(world, node);
    }

    pub(super) fn patience(&mut self) -> u64 {
        ELECTION_NS + self.chance.below(ELECTION_NS as usize) as u64
    }

    pub(super) fn seat(&mut self, shard: usize, node: usize) -> Option<&mut Seat> {
        let at = self.layout.sites[shard].voters.iter().position(|voter| *voter == node)?;
        self.seats[shard].get_mut(at)
    }
}
