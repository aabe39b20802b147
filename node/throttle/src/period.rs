//! Periods of quotas. Owns how a day maps to the period it belongs to; must never read a clock: the ledger says which day it
//! is. All boundaries are UTC midnights, weeks begin on Sunday.

/// How long a quota lasts. AWS: `QuotaPeriodType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// One day.
    Day,
    /// Sunday to Saturday.
    Week,
    /// A calendar month.
    Month,
}

impl Period {
    /// The number of the period that holds `day`, in days since 1970-01-01. Later periods have larger numbers; 0 stands for
    /// none.
    pub fn number(self, day: u32) -> u32 {
        match self {
            Self::Day => day.saturating_add(1),
            // 1970-01-01 was a Thursday, so the first Sunday was day 3.
            Self::Week => day.saturating_add(4) / 7 + 1,
            Self::Month => month(day).saturating_add(1),
        }
    }
}

/// Months since January 1970, by the civil-from-days rule of the proleptic Gregorian calendar.
fn month(day: u32) -> u32 {
    let shifted = u64::from(day) + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let since_year_zero = (era * 400 + year_of_era) * 12 + shifted_month + 2;
    u32::try_from(since_year_zero - 1_970 * 12).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        // (day, day of the month is 1, is a Sunday): 20,000 = 2024-10-04 (Friday).
        for (day, months) in [
            (0, 0),
            (30, 0),
            (31, 1),
            (58, 1),
            (59, 2),
            (364, 11),
            (365, 12),
            (19_782, 649),
            (19_783, 650),
            (20_000, 657),
        ] {
            assert_eq!(month(day), months, "{day}");
        }
        for (first, last, period) in [
            (3, 9, Period::Week),
            (20_002, 20_008, Period::Week),
            (31, 58, Period::Month),
            (19_754, 19_782, Period::Month),
            (7, 7, Period::Day),
        ] {
            let number = period.number(first);
            assert_eq!(period.number(last), number, "{first}");
            assert_eq!(period.number(first - 1) + 1, number, "{first}");
            assert_eq!(period.number(last + 1), number + 1, "{last}");
        }
        assert!(Period::Day.number(0) > 0 && Period::Week.number(0) > 0 && Period::Month.number(0) > 0);
    }
}
