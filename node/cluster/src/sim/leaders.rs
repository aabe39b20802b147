//! Invariant: a term has at most one leader.

use super::{pause, world::World};
use crate::{
    Role,
    runtime::{self, Task},
};

/// Looks at all nodes all the time.
pub(super) fn watch(world: &World) -> Task {
    let world = world.clone();
    runtime::spawn_scoped(async move {
        loop {
            for id in &world.ids {
                let Some(handle) = world.handle(*id) else { continue };
                for group in world.groups.keys().copied() {
                    let Ok(status) = handle.status(group) else { continue };
                    if status.role != Role::Leader {
                        continue;
                    }
                    let mut record = world.record();
                    let first = *record.leaders.entry((group, status.term)).or_insert(*id);
                    if first != *id {
                        record.violations.push(format!(
                            "term {} of group {group} has the leaders {first} and {id}",
                            status.term
                        ));
                    }
                }
            }
            pause(50).await;
        }
    })
}
