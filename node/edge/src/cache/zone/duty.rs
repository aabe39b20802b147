//! The duty to tell the owner of a key what came of a call. Owns that it is told in any case, also when the call was given up.

use std::sync::Arc;

use tidegate_proto::cache::{DropV1, EntryV1, MessageV1};

use super::{Zone, table::Landed, wire};
use crate::cache::flight::Landing;

/// A call that others may wait for.
pub(crate) struct Duty {
    zone: Arc<Zone>,
    /// Where they wait; `None` is this node.
    owner: Option<u64>,
    /// 0 when there is none.
    ticket: u64,
    asked: Box<[u8]>,
    is_done: bool,
}

impl Duty {
    pub(super) fn new(zone: &Arc<Zone>, owner: Option<u64>, ticket: u64, asked: &[u8]) -> Self {
        Self { zone: Arc::clone(zone), owner, ticket, asked: asked.into(), is_done: false }
    }

    /// A call that the owner was not asked about; `None` when there is nobody to be told.
    pub(crate) fn unasked(zone: &Arc<Zone>, primary: &[u8]) -> Option<Self> {
        let circle = zone.circle.load();
        let owner = circle.owner(primary, zone.now_ns());
        (circle.len() > 1).then(|| Self::new(zone, owner, 0, primary))
    }

    /// Tells what came of it. `primary` is the key of all variants.
    pub(crate) fn land(mut self, landing: &Landing, primary: &[u8]) {
        self.is_done = true;
        let Some(node) = self.owner else {
            let landed = match landing {
                Landing::Stored(entry) => Landed::Entry(Arc::clone(entry)),
                Landing::Shared(entry) => Landed::Shared(Arc::clone(entry)),
                Landing::Unfit => Landed::Unfit,
                Landing::Failed(_) => Landed::Failed,
                Landing::Lost => Landed::Lost,
            };
            self.zone.table.land(&self.asked, self.ticket, self.zone.own(), landed);
            return;
        };
        match landing {
            Landing::Stored(entry) | Landing::Shared(entry) => {
                let is_kept = matches!(landing, Landing::Stored(_));
                match wire::write(entry, self.zone.now_ns()) {
                    Some(entry) => self.put(node, primary, is_kept, entry),
                    None => self.drop_it(node, DropV1::Lost),
                }
            }
            Landing::Unfit => self.drop_it(node, DropV1::Unfit),
            Landing::Failed(_) => self.drop_it(node, DropV1::Failed),
            Landing::Lost => self.drop_it(node, DropV1::Lost),
        }
    }

    fn put(&self, node: u64, primary: &[u8], is_kept: bool, entry: EntryV1) {
        let (ticket, asked) = (self.ticket, self.asked.to_vec());
        let message =
            MessageV1::Put { ticket, asked, primary: primary.to_vec(), is_kept, entry: Box::new(entry) };
        if self.zone.tell(node, message) {
            return;
        }
        self.drop_it(node, DropV1::Lost);
        // Without a ticket it may be meant to replace what the owner has.
        if self.ticket == 0 {
            self.zone.spread(primary, None);
        }
    }

    fn drop_it(&self, node: u64, reason: DropV1) {
        self.zone.tell(node, MessageV1::Drop { ticket: self.ticket, asked: self.asked.to_vec(), reason });
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        match self.owner {
            Some(node) => self.drop_it(node, DropV1::Lost),
            None => {
                self.zone.table.land(&self.asked, self.ticket, self.zone.own(), Landed::Lost);
            }
        }
    }
}
