//! Finds the method of a path and verb in a stage's tree: static before `{name}` before `{name+}` at every segment, with
//! backtracking, without allocation and without hashing.

#[cfg(test)]
mod tests;

use std::ops::Range;

use tidegate_proto::{
    compiled::{ArchivedNodeV1, ArchivedStageV1, NONE, VERBS},
    limits::{PATH_PARAMETERS_MAX, PATH_SEGMENTS_MAX},
};

/// Index of `ANY` among [`VERBS`].
const ANY: usize = VERBS.len() - 1;

/// Where the values of a route's path parameters stand in the path that was routed, in path order.
#[derive(Clone, Copy, Debug)]
pub struct PathRanges {
    ranges: [(u16, u16); PATH_PARAMETERS_MAX],
    count: u8,
}

impl PathRanges {
    /// No parameters.
    pub(crate) fn none() -> Self {
        Self { ranges: [(0, 0); PATH_PARAMETERS_MAX], count: 0 }
    }

    /// The bytes of parameter `index`.
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        if index >= usize::from(self.count) {
            return None;
        }
        self.ranges.get(index).map(|(start, end)| usize::from(*start)..usize::from(*end))
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether the route has no parameters.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The index of a verb among the seven that API Gateway serves; `ANY` and others have none.
pub fn verb_index(verb: &str) -> Option<usize> {
    VERBS.iter().take(ANY).position(|known| *known == verb)
}

/// The same verb as one that lives for ever; empty for those that API Gateway does not serve.
pub fn known_verb(verb: &str) -> &'static str {
    VERBS.iter().take(ANY).copied().find(|known| *known == verb).unwrap_or_default()
}

/// Finds the method that serves `verb` on `path`, the part after the stage. Leading and trailing slashes do not count;
/// percent-escapes are compared as they are.
pub(crate) fn find(stage: &ArchivedStageV1, path: &str, verb: usize) -> Option<(u32, PathRanges)> {
    let bytes = path.as_bytes();
    let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(start, |last| last + 1);
    if end > usize::from(u16::MAX) {
        return None;
    }
    let mut walk = Walk { stage, path: bytes.get(..end)?, verb, found: PathRanges::none() };
    let method = walk.descend(0, start, 0)?;
    Some((method, walk.found))
}

/// Eight bytes of `segment` after its first `skip`, as a number that sorts like the bytes.
pub(crate) fn head(segment: &[u8], skip: usize) -> u64 {
    let rest = segment.get(skip..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*eight);
    }
    rest.iter().enumerate().fold(0, |head, (at, byte)| head | u64::from(*byte) << (56 - 8 * at))
}

struct Walk<'a> {
    stage: &'a ArchivedStageV1,
    path: &'a [u8],
    verb: usize,
    found: PathRanges,
}

impl Walk<'_> {
    /// Searches below `node` for the path from `at`; past the end of the path nothing is left.
    fn descend(&mut self, node: u32, at: usize, depth: usize) -> Option<u32> {
        let node = self.stage.nodes.get(node as usize)?;
        if at >= self.path.len() {
            return self.method(node);
        }
        if depth < PATH_SEGMENTS_MAX {
            let end = self.segment_end(at);
            let segment = self.path.get(at..end)?;
            if let Some(child) = self.static_child(node, segment)
                && let Some(method) = self.descend(child, end + 1, depth + 1)
            {
                return Some(method);
            }
            let parameter = node.parameter.to_native();
            if parameter != NONE && !segment.is_empty() {
                let count = self.push(at, end);
                if let Some(method) = self.descend(parameter, end + 1, depth + 1) {
                    return Some(method);
                }
                self.found.count = count;
            }
        }
        let greedy = node.greedy.to_native();
        if greedy == NONE {
            return None;
        }
        let count = self.push(at, self.path.len());
        let method = self.stage.nodes.get(greedy as usize).and_then(|node| self.method(node));
        if method.is_none() {
            self.found.count = count;
        }
        method
    }

    fn method(&self, node: &ArchivedNodeV1) -> Option<u32> {
        [self.verb, ANY]
            .iter()
            .filter_map(|slot| node.methods.get(*slot))
            .map(|slot| slot.to_native())
            .find(|slot| *slot != NONE)
    }

    fn segment_end(&self, at: usize) -> usize {
        let rest = self.path.get(at..).unwrap_or_default();
        // Segments are short: a plain loop is quicker than a search that starts up.
        at + rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())
    }

    /// Records a parameter and returns the count to go back to.
    fn push(&mut self, start: usize, end: usize) -> u8 {
        let count = self.found.count;
        if let Some(place) = self.found.ranges.get_mut(usize::from(count)) {
            *place = (start as u16, end as u16);
            self.found.count = count + 1;
        }
        count
    }

    /// A search whose steps do not depend on guesses of the processor: over thousands of siblings every second guess is wrong.
    fn static_child(&self, node: &ArchivedNodeV1, segment: &[u8]) -> Option<u32> {
        let start = node.edges_start.to_native() as usize;
        let heads = self.stage.edge_heads.get(start..start + node.edges_len.to_native() as usize)?;
        let wanted = head(segment, node.prefix_len.to_native() as usize);
        let first = heads.partition_point(|head| head.to_native() < wanted);
        let same = heads.get(first..)?.iter().take_while(|head| head.to_native() == wanted).take(2).count();
        let edge = match same {
            0 => return None,
            1 => start + first,
            _ => self.edge_among(
                start + first,
                start + heads.partition_point(|head| head.to_native() <= wanted),
                segment,
            ),
        };
        if self.edge_text(edge)? != segment {
            return None;
        }
        self.stage.edge_nodes.get(edge).map(|child| child.to_native())
    }

    /// The only edge from `low` to `high` that can be `segment`; their heads are equal, their texts are sorted.
    fn edge_among(&self, mut low: usize, mut high: usize, segment: &[u8]) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            match self.edge_text(middle) {
                Some(text) if text < segment => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    fn edge_text(&self, edge: usize) -> Option<&[u8]> {
        let place = self.stage.edge_texts.get(edge)?;
        let (start, length) = (place.0.to_native() as usize, place.1.to_native() as usize);
        self.stage.text.as_bytes().get(start..start + length)
    }
}
