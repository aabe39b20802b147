//! Feeds committed entries to a group's machine and keeps its checkpoints. The only caller of `Machine`.

use super::types::{Entry, LogId, Outcome, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::runtime::watch;
use crate::{
    Encode, GroupId, Machine, limits, runtime,
    store::checkpoint::CheckpointStore,
    wire::{convert, v1::CheckpointV1},
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Told about every membership that takes effect here.
pub(crate) type OnMembership = Arc<dyn Fn(&StoredMembership) + Send + Sync>;

/// openraft's state machine: position, membership and the user's machine.
pub(crate) struct Applier {
    group: GroupId,
    machine: Mutex<Box<dyn Machine>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    progress: watch::Sender<u64>,
    on_membership: OnMembership,
    checkpoints: Arc<dyn CheckpointStore>,
    stored: Option<SnapshotMeta>,
}

/// A captured state on its way to disk.
pub(crate) struct Builder {
    group: GroupId,
    meta: SnapshotMeta,
    encode: Mutex<Option<Encode>>,
    checkpoints: Arc<dyn CheckpointStore>,
}

impl Applier {
    /// A machine at its beginning, and the index it has applied.
    pub(crate) fn new(
        group: GroupId,
        machine: Box<dyn Machine>,
        checkpoints: Arc<dyn CheckpointStore>,
        on_membership: OnMembership,
    ) -> (Self, watch::Receiver<u64>) {
        let (progress, receiver) = watch::channel(0);
        let applier = Self {
            group,
            machine: Mutex::new(machine),
            applied: None,
            membership: StoredMembership::default(),
            progress,
            on_membership,
            checkpoints,
            stored: None,
        };
        (applier, receiver)
    }

    /// Captures the state and its position.
    pub(crate) fn capture(&mut self) -> (SnapshotMeta, Encode) {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        (meta, self.machine().checkpoint())
    }

    fn machine(&mut self) -> &mut Box<dyn Machine> {
        self.machine.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_one(&mut self, entry: &Entry) -> Bytes {
        let index = entry.log_id.index;
        let outcome = match &entry.payload {
            EntryPayload::Blank => Bytes::new(),
            EntryPayload::Normal(command) => self.machine().apply(index, &command.0),
            EntryPayload::Membership(membership) => {
                self.adopt(StoredMembership::new(Some(entry.log_id), membership.clone()));
                Bytes::new()
            }
        };
        self.applied = Some(entry.log_id);
        self.progress.send_replace(index);
        outcome
    }

    fn adopt(&mut self, membership: StoredMembership) {
        self.membership = membership;
        (self.on_membership)(&self.membership);
    }
}

impl RaftStateMachine<Types> for Applier {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = self.apply_one(&entry);
            if let Some(responder) = responder {
                responder.send(Outcome(outcome));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let (meta, encode) = self.capture();
        let checkpoints = self.checkpoints.clone();
        Builder { group: self.group, meta, encode: Mutex::new(Some(encode)), checkpoints }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> Result<(), io::Error> {
        if self.stored.as_ref() != Some(meta) {
            save(self.group, self.checkpoints.clone(), convert::checkpoint_out(meta, &data), data.clone())
                .await?;
            self.stored = Some(meta.clone());
        }
        let index = meta.last_log_id.as_ref().map_or(0, |id| id.index);
        self.machine().restore(index, &data).map_err(io::Error::other)?;
        self.applied = meta.last_log_id;
        self.adopt(meta.last_membership.clone());
        self.progress.send_replace(index);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let (group, checkpoints) = (self.group, self.checkpoints.clone());
        let loaded = runtime::blocking(move || checkpoints.load(group)).await.ok_or_else(panicked)??;
        let Some((head, data)) = loaded else { return Ok(None) };
        let meta = convert::checkpoint_in(head).map_err(io::Error::other)?;
        self.stored = Some(meta.clone());
        Ok(Some(Snapshot { meta, snapshot: data }))
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let taken = self.encode.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(encode) = taken else { return Err(io::Error::other("the checkpoint was already written")) };
        let data = Bytes::from(runtime::blocking(encode).await.ok_or_else(panicked)?);
        if data.len() as u64 > limits::CHECKPOINT_BYTES_MAX {
            return Err(io::Error::other(format!(
                "the checkpoint of {} bytes is over the limit",
                data.len()
            )));
        }
        let head = convert::checkpoint_out(&self.meta, &data);
        save(self.group, self.checkpoints.clone(), head, data.clone()).await?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: data })
    }
}

async fn save(
    group: GroupId,
    checkpoints: Arc<dyn CheckpointStore>,
    head: CheckpointV1,
    data: Bytes,
) -> io::Result<()> {
    runtime::blocking(move || checkpoints.save(group, &head, &data)).await.ok_or_else(panicked)?
}

fn panicked() -> io::Error {
    io::Error::other("writing or reading a checkpoint panicked")
}
