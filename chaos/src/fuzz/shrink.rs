//! Makes a case smaller as long as what is wrong with it stays wrong.

use super::case::{Case, Script};

/// How often a case is tried at most.
const TRIES_MAX: usize = 600;

/// The smallest case found for which `is_wrong` holds; it holds for `case`.
pub(crate) async fn shrink(case: Case, mut is_wrong: impl AsyncFnMut(&Case) -> bool) -> Case {
    let mut best = case;
    let mut tries = 0;
    for simpler in [
        Case { cuts: Vec::new(), ..best.clone() },
        Case { scripts: Vec::new(), ..best.clone() },
        Case { cuts: Vec::new(), scripts: Vec::new(), bytes: best.bytes.clone() },
    ] {
        if is_wrong(&simpler).await {
            best = simpler;
        }
    }
    let mut size = best.bytes.len().div_ceil(2);
    while size > 0 && tries < TRIES_MAX {
        let mut at = 0;
        while at < best.bytes.len() && tries < TRIES_MAX {
            tries += 1;
            let smaller = Case {
                bytes: without(&best.bytes, at, size),
                cuts: moved(&best.cuts, at, size),
                ..best.clone()
            };
            if is_wrong(&smaller).await {
                best = smaller;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    for place in 0..best.scripts.len() {
        let mut size = best.scripts.get(place).map_or(0, |script| script.answer.len().div_ceil(2));
        while size > 0 && tries < 2 * TRIES_MAX {
            let mut at = 0;
            while best.scripts.get(place).is_some_and(|script| at < script.answer.len())
                && tries < 2 * TRIES_MAX
            {
                tries += 1;
                let mut smaller = best.clone();
                if let Some(Script { answer, .. }) = smaller.scripts.get_mut(place) {
                    *answer = without(answer, at, size);
                }
                if is_wrong(&smaller).await {
                    best = smaller;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
    }
    best
}

fn without(bytes: &[u8], at: usize, count: usize) -> Vec<u8> {
    let after = bytes.get((at + count).min(bytes.len())..).unwrap_or_default();
    [bytes.get(..at).unwrap_or_default(), after].concat()
}

/// The same pauses after bytes were taken out.
fn moved(cuts: &[usize], at: usize, count: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| if *cut > at { cut.saturating_sub(count).max(at) } else { *cut }).collect();
    cuts.dedup();
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_matters_is_left() {
        let case = Case {
            bytes: b"some bytes with X and Y in them".to_vec(),
            cuts: vec![3, 9],
            scripts: Vec::new(),
        };
        let small = shrink(case, async |case| case.bytes.contains(&b'X') && case.bytes.contains(&b'Y')).await;
        assert_eq!((small.bytes.as_slice(), small.cuts.len()), (&b"XY"[..], 0));
    }
}
