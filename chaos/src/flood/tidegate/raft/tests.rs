//! Three voters and a lossy hand that carries their letters.

use tidegate_proto::ledger::ChangeV1;

use super::*;
use crate::flood::chance::Chance;

struct Trio {
    voters: Vec<Voter>,
    post: Vec<(usize, Letter)>,
    now: u64,
    chance: Chance,
    /// Voters that get and send nothing.
    away: Vec<usize>,
}

impl Trio {
    fn new(seed: u64) -> Self {
        let all = [0, 1, 2];
        let mut voters: Vec<Voter> = all.iter().map(|node| Voter::new(*node, &all)).collect();
        voters[0].appoint(0);
        Self { voters, post: Vec::new(), now: 0, chance: Chance::new(seed, "trio"), away: Vec::new() }
    }

    fn go(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += MS;
            for node in 0..3 {
                let patience = ELECTION_NS + self.chance.below(ELECTION_NS as usize) as u64;
                self.voters[node].look(self.now, patience);
                if self.now.is_multiple_of(HEARTBEAT_NS) {
                    self.voters[node].spread();
                }
                let letters = self.voters[node].letters();
                self.post.extend(letters.into_iter().map(|letter| (node, letter)));
            }
            self.chance.shuffle(&mut self.post);
            for (from, letter) in std::mem::take(&mut self.post) {
                let lost = self.away.contains(&from) || self.away.contains(&letter.to);
                if !lost && !self.chance.happens(0.1) {
                    let patience = ELECTION_NS + self.chance.below(ELECTION_NS as usize) as u64;
                    self.voters[letter.to].hear(self.now, from, letter.message, patience);
                }
            }
        }
    }

    fn leader(&self) -> Option<usize> {
        (0..3).filter(|node| self.voters[*node].is_ready()).max_by_key(|node| self.voters[*node].term())
    }

    fn propose(&mut self, day: u32) {
        if let Some(leader) = self.leader() {
            let command = CommandV1 { changes: vec![ChangeV1::Day { day }] };
            self.voters[leader].propose(command);
        }
    }
}

#[test]
fn what_is_agreed_on_stays() {
    for seed in 0..20 {
        let mut trio = Trio::new(seed);
        let mut day = 0;
        let mut best = 0;
        for round in 0..30 {
            trio.away = if round % 3 == 0 { vec![trio.chance.below(3)] } else { Vec::new() };
            for _ in 0..40 {
                day += 1;
                trio.propose(day);
                trio.go(10);
                let applied = trio.voters.iter().map(|voter| voter.ledger().day()).max().unwrap_or_default();
                assert!(applied >= best, "seed {seed}: an agreed entry is gone");
                best = applied;
            }
        }
        trio.away.clear();
        trio.go(3_000);
        assert!(trio.leader().is_some(), "seed {seed}: nobody leads");
        let days: Vec<u32> = trio.voters.iter().map(|voter| voter.ledger().day()).collect();
        assert!(
            days.iter().all(|day| *day == days[0]) && days[0] >= best && best > 300,
            "seed {seed}: {days:?}"
        );
    }
}

#[test]
fn a_leader_without_a_majority_gets_nothing_agreed() {
    let mut trio = Trio::new(1);
    trio.go(100);
    assert_eq!(trio.leader(), Some(0));
    trio.away = vec![0];
    let round = trio.voters[0].begin_round();
    let index = trio.voters[0].propose(CommandV1::default());
    trio.go(2_000);
    assert!(trio.voters[0].leads() && !trio.voters[0].is_confirmed(round));
    assert!(index.is_some_and(|index| trio.voters[0].applied() < index));
    assert!(matches!(trio.leader(), Some(1 | 2)), "the others elected one of them");
    trio.away.clear();
    trio.go(1_000);
    assert!(!trio.voters[0].leads(), "it has learned of the newer term");
}

#[test]
fn rounds_are_confirmed_and_laggards_caught_up() {
    let mut trio = Trio::new(2);
    trio.away = vec![2];
    for day in 1..=1_000 {
        trio.propose(day);
        trio.go(3);
    }
    let round = trio.voters[0].begin_round();
    trio.go(200);
    assert!(trio.voters[0].is_confirmed(round));
    assert!(trio.voters[0].base > 700 && trio.voters[2].ledger().day() == 0);
    trio.away.clear();
    trio.go(1_000);
    assert_eq!(trio.voters[2].ledger().day(), 1_000);
    let before = trio.voters[2].applied();
    assert_eq!(trio.voters[2].restart(0, ELECTION_NS), Ok(()));
    assert_eq!(trio.voters[2].applied(), before);
}
