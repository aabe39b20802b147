//! Whether all nodes refuse the same part of a short limit's requests. Owns the comparison: second by second, because clients move,
//! and what is refused while nobody asks elsewhere is not unfair.

use crate::flood::moment::SECOND;

/// A node with less than this part of a limit's requests says nothing.
const NODE_PART: f64 = 0.05;

/// Requests of one limit at one node.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// In this second.
    offered_now: u32,
    admitted_now: u32,
    offered: u32,
    refused: i64,
    /// What would have been refused if all nodes had refused the same part.
    fair: f64,
}

/// All limits and nodes.
#[derive(Debug)]
pub(super) struct Fairness {
    nodes: usize,
    /// By limit, then node.
    rows: Vec<Row>,
    /// The second that each limit is in.
    seconds: Vec<u64>,
}

impl Fairness {
    /// Of so many limits; 0 keeps nothing.
    pub(super) fn new(limits: usize, nodes: usize) -> Self {
        Self { nodes, rows: vec![Row::default(); limits * nodes], seconds: vec![0; limits] }
    }

    /// A request came in.
    pub(super) fn offer(&mut self, limit: usize, node: usize, now_ns: u64) {
        self.enter(limit, now_ns);
        if let Some(row) = self.rows.get_mut(limit * self.nodes + node) {
            row.offered_now += 1;
        }
    }

    /// One was admitted.
    pub(super) fn admit(&mut self, limit: usize, node: usize, now_ns: u64) {
        self.enter(limit, now_ns);
        if let Some(row) = self.rows.get_mut(limit * self.nodes + node) {
            row.admitted_now += 1;
        }
    }

    /// The largest part by which a node refused more or less than was fair.
    pub(super) fn spread(&self, limit: usize) -> f64 {
        let rows = self.rows.get(limit * self.nodes..(limit + 1) * self.nodes).unwrap_or_default();
        let all: u32 = rows.iter().map(|row| row.offered).sum();
        let counts = rows.iter().filter(|row| f64::from(row.offered) > NODE_PART * f64::from(all));
        counts.map(|row| (row.refused as f64 - row.fair).abs() / f64::from(row.offered)).fold(0.0, f64::max)
    }

    /// Whether anything is kept.
    pub(super) fn is_kept(&self) -> bool {
        !self.rows.is_empty()
    }

    fn enter(&mut self, limit: usize, now_ns: u64) {
        let second = now_ns / SECOND;
        let Some(present) = self.seconds.get_mut(limit).filter(|present| **present != second) else { return };
        *present = second;
        let Some(rows) = self.rows.get_mut(limit * self.nodes..(limit + 1) * self.nodes) else { return };
        let offered: u32 = rows.iter().map(|row| row.offered_now).sum();
        let admitted: u32 = rows.iter().map(|row| row.admitted_now).sum();
        let part = 1.0 - f64::from(admitted) / f64::from(offered.max(1));
        for row in rows {
            row.offered += row.offered_now;
            row.refused += i64::from(row.offered_now) - i64::from(row.admitted_now);
            row.fair += f64::from(row.offered_now) * part;
            (row.offered_now, row.admitted_now) = (0, 0);
        }
    }
}
