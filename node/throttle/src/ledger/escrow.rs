//! Whole requests in the ledger: quotas by period, and pools of single tokens. Owns their rules: what was granted once is never
//! granted again unless it was given back, whoever crashed meanwhile.

use tidegate_proto::{
    ledger::{ChunkV1, QuotaRowV1, UsedV1},
    limits::QUOTA_HISTORY_DAYS_MAX,
};

use super::{Ledger, Skipped};
use crate::limit::{Kind, LimitId};

impl Ledger {
    /// Opens a quota, moves it to a later period, or changes its size.
    pub(super) fn open_quota(&mut self, limit: u64, period: u32, size: u32) -> Result<(), Skipped> {
        let day = self.day;
        let row =
            self.quotas.entry(limit).or_insert_with(|| QuotaRowV1 { limit, day, ..QuotaRowV1::default() });
        turn_day(row, day);
        if period < row.period {
            return Err(Skipped);
        }
        if period > row.period {
            record(row);
            (row.period, row.configured, row.size, row.pool) = (period, size, size, i64::from(size));
            (row.forfeited, row.used_before, row.day) = (0, 0, day);
            row.chunks.clear();
        } else {
            let wanted = i64::from(row.size) + i64::from(size) - i64::from(row.configured);
            let wanted = u32::try_from(wanted.max(0)).unwrap_or(u32::MAX);
            row.pool += i64::from(wanted) - i64::from(row.size);
            (row.size, row.configured) = (wanted, size);
        }
        Ok(())
    }

    /// Hands tokens to a holder. An older life of it forfeits what it had.
    pub(super) fn grant(&mut self, limit: u64, period: u32, more: ChunkV1) -> Result<(), Skipped> {
        if let Some(row) = self.quotas.get_mut(&limit) {
            turn_day(row, self.day);
            if period != row.period || row.pool < i64::from(more.granted) {
                return Err(Skipped);
            }
            row.pool -= i64::from(more.granted);
            let forfeited = enter(&mut row.chunks, more);
            row.forfeited = row.forfeited.saturating_add(forfeited);
            return Ok(());
        }
        let row = self.pools.get_mut(&limit).ok_or(Skipped)?;
        let is_session = self.sessions.get(&more.holder).is_some_and(|session| session.epoch == more.life);
        let out: u64 = row.chunks.iter().map(|chunk| u64::from(chunk.outstanding())).sum();
        if !is_session || out + u64::from(more.granted) > u64::from(row.size) {
            return Err(Skipped);
        }
        // A session that has ended can use nothing, so what it had is not held against the pool.
        enter(&mut row.chunks, more);
        Ok(())
    }

    /// Records what became of tokens; sums only grow.
    pub(super) fn settle(&mut self, limit: u64, period: u32, news: ChunkV1) -> Result<(), Skipped> {
        let day = self.day;
        let quota = self.quotas.get_mut(&limit).filter(|row| row.period == period);
        let quota = quota.map(|row| {
            turn_day(row, day);
            (&mut row.chunks, Some(&mut row.pool))
        });
        let (chunks, pool) =
            quota.or_else(|| self.pools.get_mut(&limit).map(|row| (&mut row.chunks, None))).ok_or(Skipped)?;
        let mine = |chunk: &&mut ChunkV1| chunk.holder == news.holder && chunk.life == news.life;
        let chunk = chunks.iter_mut().find(mine).ok_or(Skipped)?;
        let (spent, returned) = (news.spent.max(chunk.spent), news.returned.max(chunk.returned));
        if spent.saturating_add(returned) > chunk.granted {
            return Err(Skipped);
        }
        if let Some(pool) = pool {
            *pool += i64::from(returned - chunk.returned);
        }
        (chunk.spent, chunk.returned) = (spent, returned);
        Ok(())
    }

    /// Sets what is left; what is out counts as left.
    pub(super) fn remain(&mut self, limit: u64, period: u32, remaining: u32) -> Result<(), Skipped> {
        let row = self.quotas.get_mut(&limit).filter(|row| row.period == period).ok_or(Skipped)?;
        turn_day(row, self.day);
        let (used, out) = (used_in_period(row), out(row));
        row.size = used.saturating_add(remaining);
        row.pool = i64::from(remaining) - i64::from(out);
        Ok(())
    }
}

/// Enters a grant; returns what an older life forfeits.
fn enter(chunks: &mut Vec<ChunkV1>, more: ChunkV1) -> u32 {
    let Some(chunk) = chunks.iter_mut().find(|chunk| chunk.holder == more.holder) else {
        chunks.push(more);
        return 0;
    };
    if chunk.life == more.life {
        chunk.granted = chunk.granted.saturating_add(more.granted);
        return 0;
    }
    let forfeited = chunk.granted.saturating_sub(chunk.returned);
    *chunk = more;
    forfeited
}

/// What is out and may still be used.
pub(super) fn out(row: &QuotaRowV1) -> u32 {
    row.chunks.iter().map(ChunkV1::outstanding).fold(0, u32::saturating_add)
}

/// Everything that cannot be used any more: used, or forfeited.
fn used_in_period(row: &QuotaRowV1) -> u32 {
    let spent = row.chunks.iter().map(|chunk| chunk.spent).fold(0, u32::saturating_add);
    spent.saturating_add(row.forfeited)
}

/// Puts the day that has passed into the history.
fn turn_day(row: &mut QuotaRowV1, day: u32) {
    if day > row.day {
        record(row);
        (row.day, row.used_before) = (day, used_in_period(row));
    }
}

fn record(row: &mut QuotaRowV1) {
    let used = used_in_period(row).saturating_sub(row.used_before);
    if used == 0 {
        return;
    }
    match row.history.last_mut() {
        Some((day, before)) if *day == row.day => *before = before.saturating_add(used),
        _ => row.history.push((row.day, used)),
    }
    if row.history.len() > QUOTA_HISTORY_DAYS_MAX {
        row.history.remove(0);
    }
}

/// Use day by day, today's last. What was left at the end of a day counts from the present size of the quota.
pub(super) fn used(row: &QuotaRowV1, today: u32) -> Vec<UsedV1> {
    let Some(Kind::Quota(period)) = LimitId::new(row.limit).map(LimitId::kind) else { return Vec::new() };
    let mut days = row.history.clone();
    let present = used_in_period(row).saturating_sub(row.used_before);
    match days.last_mut() {
        Some((day, used)) if *day == row.day => *used = used.saturating_add(present),
        _ => days.push((row.day, present)),
    }
    if row.day < today {
        days.push((today, 0));
    }
    let (mut number, mut sum) = (0, 0u32);
    let print = |(day, used): (u32, u32)| {
        if period.number(day) != number {
            (number, sum) = (period.number(day), 0);
        }
        sum = sum.saturating_add(used);
        UsedV1 { day, used, remaining: row.size.saturating_sub(sum) }
    };
    days.into_iter().map(print).collect()
}
