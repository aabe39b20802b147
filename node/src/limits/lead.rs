//! Leads a shard of the ledger for as long as this node is its leader: ticks its keeper, has each tick agreed on, and sends the
//! answers. Owns that nothing leaves before a majority has agreed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidegate_cluster::Error;
use tidegate_edge::boot_ns;
use tidegate_proto::ledger::{CommandV1, GrantV1, MessageV1};
use tidegate_throttle::{GLOBAL, Keeper, PART, Tick};

use super::{Desk, Shard, agent::Post, lock, today};

/// Pause between ticks while there is something to decide.
const TICK: Duration = Duration::from_millis(20);
/// Pause between looks at the sessions while there is nothing to decide.
const CALM: Duration = Duration::from_millis(100);
/// A tick that is not agreed on within this time ends the leader's work; it begins again from the ledger.
const PATIENCE: Duration = Duration::from_millis(1_000);
const RETRY: Duration = Duration::from_millis(50);

/// Runs until the task is dropped.
pub(super) async fn run(desk: Arc<Desk>, post: Post, number: usize) {
    let Some(shard) = desk.shards.get(number) else { return };
    let Ok(mut terms) = post.handle().leadership(shard.group) else { return };
    let mut earlier = None;
    loop {
        let term = *terms.borrow_and_update();
        let Some(term) = term else {
            if terms.changed().await.is_err() {
                return;
            }
            continue;
        };
        let led = tokio::select! {
            led = lead(&desk, &post, (number, shard), term, &mut earlier) => led,
            changed = terms.wait_for(|now| *now != Some(term)) => match changed {
                Ok(_) => Ok(()),
                Err(_) => return,
            },
        };
        earlier = lock(&shard.keeper).take().or(earlier);
        if let Err(error) = led {
            tracing::debug!(shard = number, term, %error, "a leader of the ledger begins again");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Leads in one term; ends with the first tick that is not agreed on.
async fn lead(
    desk: &Arc<Desk>,
    post: &Post,
    (number, shard): (usize, &Shard),
    term: u64,
    earlier: &mut Option<Keeper>,
) -> Result<(), Error> {
    // Everything that this node proposed before is applied when an entry after it is.
    propose(post, shard, term, &CommandV1::default()).await?;
    let keeper = {
        let (ledger, now_ns) = (lock(&shard.ledger), boot_ns());
        match number {
            PART => Keeper::of_part(desk.region, term, &ledger, now_ns, desk.timing),
            _ => Keeper::new(number, term, &ledger, now_ns, desk.timing)
                .with_levels_since(shard.applied.levels_ns()),
        }
    };
    *lock(&shard.keeper) = Some(match earlier.take() {
        Some(mut earlier) => keeper.after(&mut earlier),
        None => keeper,
    });
    tracing::debug!(shard = number, term, "leading the ledger");
    loop {
        let Some(tick) = tick(desk, shard) else { return Ok(()) };
        let Tick { command, confirm } = tick;
        let is_agreed_on = command.is_some() || confirm;
        if let Some(command) = command {
            propose(post, shard, term, &command).await?;
        } else if confirm {
            post.handle().confirm(shard.group, term, PATIENCE).await?;
        }
        if is_agreed_on {
            answer(desk, post, number, shard);
        }
        if number == PART {
            speak(desk, post, shard);
        }
        rest(shard).await;
    }
}

fn tick(desk: &Desk, shard: &Shard) -> Option<Tick> {
    let index = desk.index.load();
    let mut keeper = lock(&shard.keeper);
    let ledger = lock(&shard.ledger);
    keeper.as_mut().map(|keeper| keeper.tick(boot_ns(), &ledger, &index, today()))
}

async fn propose(post: &Post, shard: &Shard, term: u64, command: &CommandV1) -> Result<(), Error> {
    let bytes = command.encode().map_err(|error| Error::Change(error.to_string()))?;
    post.handle().propose_as_leader(shard.group, term, Bytes::from(bytes), PATIENCE).await.map(|_| ())
}

fn answer(desk: &Arc<Desk>, post: &Post, number: usize, shard: &Shard) {
    let answers: Vec<(u64, GrantV1)> = {
        let mut keeper = lock(&shard.keeper);
        let ledger = lock(&shard.ledger);
        keeper.as_mut().map(|keeper| keeper.answers(boot_ns(), &ledger)).unwrap_or_default()
    };
    for (holder, grant) in answers {
        if holder == desk.node {
            desk.messages.grant(true);
            desk.take_grant(number, &grant);
        } else {
            // What does not arrive is asked for, or sent, again.
            let messages = desk.messages.clone();
            let message = MessageV1::Grant { group: shard.group, grant };
            post.send(holder, &message, move |arrived| messages.grant(arrived));
        }
    }
}

/// Tells the ledger of all regions what the region needs.
fn speak(desk: &Arc<Desk>, post: &Post, shard: &Shard) {
    let index = desk.index.load();
    let report = {
        let mut keeper = lock(&shard.keeper);
        let ledger = lock(&shard.ledger);
        keeper.as_mut().and_then(|keeper| keeper.report(boot_ns(), &ledger, &index))
    };
    let Some(report) = report else { return };
    let lost = |desk: &Desk| {
        if let Some(part) = desk.shards.get(PART)
            && let Some(keeper) = lock(&part.keeper).as_mut()
        {
            keeper.lost();
        }
    };
    post.report(desk, GLOBAL, report, lost);
}

/// Until the next tick. A shard that nobody reports to sleeps.
async fn rest(shard: &Shard) {
    tokio::time::sleep(TICK).await;
    let is_busy = lock(&shard.keeper).as_ref().is_some_and(Keeper::is_busy);
    if is_busy {
        return;
    }
    let has_sessions = lock(&shard.ledger).sessions().next().is_some();
    let patience = async {
        if has_sessions {
            tokio::time::sleep(CALM).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = patience => {}
        () = shard.reported.notified() => {}
    }
}
