//! Finds the method of a path and verb in a stage's tree: static before `{name}` before `{name+}` at every segment, with
//! backtracking, without allocation and without hashing.

#[cfg(test)]
mod tests;

use rkyv::rend::u64_le as ArchivedHead;
use tidegate_proto::{
    compiled::{ArchivedEdgeV1, ArchivedNodeV1, ArchivedStageV1, NONE, VERBS},
    limits::{PATH_PARAMETERS_MAX, PATH_SEGMENTS_MAX},
};

// A bit for each segment that can be a parameter, and a place for each parameter.
const _: () = assert!(PATH_SEGMENTS_MAX <= u64::BITS as usize && PATH_PARAMETERS_MAX <= PATH_SEGMENTS_MAX);

/// Index of `ANY` among [`VERBS`].
const ANY: usize = VERBS.len() - 1;
/// Bytes in the head of an edge.
const HEAD_BYTES: usize = size_of::<u64>();
/// Heads in a cache line.
const HEADS_PER_LINE: usize = 64 / HEAD_BYTES;
/// Heads that are searched without halving.
const HEADS_AT_ONCE: usize = 32 * HEADS_PER_LINE;
/// Longest path that is routed, in bytes.
const PATH_BYTES_MAX: usize = u16::MAX as usize;

/// Which segments of a path are the values of its route's path parameters. Two words, as evidence that holds it is copied from phase to
/// phase; a value is looked up in the path that was routed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// A bit for each segment that is a value.
    single: u64,
    /// The segment from which the rest of the path is a value, plus one; 0 without.
    greedy: u8,
}

impl Parameters {
    /// The value of parameter `index`, in path order, in `path`, which is the one that was routed.
    pub fn value<'p>(&self, path: &'p str, index: usize) -> Option<&'p str> {
        let path = path.trim_matches('/');
        let singles = self.single.count_ones() as usize;
        if index == singles && self.greedy > 0 {
            return tail(path, usize::from(self.greedy) - 1);
        }
        if index >= singles {
            return None;
        }
        let mut left = self.single;
        (0..index).for_each(|_| left &= left.wrapping_sub(1));
        path.split('/').nth(left.trailing_zeros() as usize)
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.single.count_ones() as usize + usize::from(self.greedy > 0)
    }

    /// Whether the route has no parameters.
    pub fn is_empty(&self) -> bool {
        self.single == 0 && self.greedy == 0
    }
}

/// What follows the first `segments` of a path.
fn tail(path: &str, segments: usize) -> Option<&str> {
    match segments.checked_sub(1) {
        None => Some(path),
        Some(last) => path.match_indices('/').nth(last).and_then(|(slash, _)| path.get(slash + 1..)),
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
pub(crate) fn find(stage: &ArchivedStageV1, path: &str, verb: usize) -> Option<(u32, Parameters)> {
    let bytes = path.as_bytes();
    let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(start, |last| last + 1);
    if end > PATH_BYTES_MAX {
        return None;
    }
    let mut walk = Walk { stage, path: bytes.get(..end)?, verb, found: Parameters::default() };
    let method = walk.descend(0, start, 0)?;
    Some((method, walk.found))
}

/// The first eight bytes of `text` from `start` to `end`, filled up with zeros, as a number that sorts like the bytes.
pub(crate) fn head(text: &[u8], start: usize, end: usize) -> u64 {
    let part = text.get(start..end).unwrap_or_default();
    if let Some(eight) = part.first_chunk() {
        return u64::from_be_bytes(*eight);
    }
    if part.is_empty() {
        return 0;
    }
    let missing = 8 * (HEAD_BYTES - part.len());
    match text.get(..end).and_then(<[u8]>::last_chunk) {
        // What stands before it in the text is shifted out.
        Some(eight) => u64::from_be_bytes(*eight) << missing,
        None => part.iter().fold(0, |head, byte| head << 8 | u64::from(*byte)) << missing,
    }
}

/// Where the first slash of `bytes` is, or their end: eight bytes at a time, as a search that starts up costs more than a segment is
/// long.
fn slash(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        let zeros = u64::from_le_bytes(*eight) ^ (ONES * u64::from(b'/'));
        // The lowest bit that is set belongs to the first byte that is zero.
        let found = zeros.wrapping_sub(ONES) & !zeros & HIGHS;
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    eights.len() * 8 + rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())
}

/// Whether two texts are equal; segments and names are short, and a call would cost more than to compare them.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        _ => a == b,
    }
}

/// How many of the sorted `heads` are less than `wanted`. A search by halves waits for one cache line after the other; here all lines of
/// a few hundred heads are asked for at once, and no step depends on a guess of the processor.
fn lower_bound(heads: &[ArchivedHead], wanted: u64) -> usize {
    let mut start = 0;
    let mut part = heads;
    while part.len() > HEADS_AT_ONCE {
        let (low, high) = part.split_at(part.len() / 2);
        let is_high = high.first().is_some_and(|head| head.to_native() < wanted);
        start += if is_high { low.len() } else { 0 };
        part = if is_high { high } else { low };
    }
    let is_less = |head: &&ArchivedHead| head.to_native() < wanted;
    let lines = part.iter().skip(HEADS_PER_LINE - 1).step_by(HEADS_PER_LINE).filter(is_less).count();
    let line = part.iter().skip(lines * HEADS_PER_LINE).take(HEADS_PER_LINE);
    start + lines * HEADS_PER_LINE + line.filter(is_less).count()
}

struct Walk<'a> {
    stage: &'a ArchivedStageV1,
    path: &'a [u8],
    verb: usize,
    found: Parameters,
}

impl Walk<'_> {
    /// Searches below node `index` for the path from `at`; past the end of the path nothing is left. Goes on in place as long as there is
    /// one way to go.
    fn descend(&mut self, mut index: u32, mut at: usize, mut depth: usize) -> Option<u32> {
        loop {
            let node = self.stage.nodes.get(index as usize)?;
            if at >= self.path.len() {
                return self.method(node);
            }
            if depth >= PATH_SEGMENTS_MAX {
                return self.greedy(node, depth);
            }
            let rest = self.path.get(at..)?;
            let segment = rest.get(..slash(rest))?;
            let (parameter, has_greedy) = (node.parameter.to_native(), node.greedy.to_native() != NONE);
            let next = at + segment.len() + 1;
            if let Some(child) = self.static_child(node, at, segment) {
                if parameter == NONE && !has_greedy {
                    (index, at, depth) = (child, next, depth + 1);
                    continue;
                }
                if let Some(method) = self.attempt(child, next, depth + 1) {
                    return Some(method);
                }
            }
            if parameter != NONE && !segment.is_empty() {
                let before = self.found;
                self.found.single |= 1 << depth;
                if !has_greedy {
                    (index, at, depth) = (parameter, next, depth + 1);
                    continue;
                }
                if let Some(method) = self.attempt(parameter, next, depth + 1) {
                    return Some(method);
                }
                self.found = before;
            }
            return self.greedy(node, depth);
        }
    }

    /// Searches one of several ways, and forgets what was found on it when it leads nowhere.
    fn attempt(&mut self, index: u32, at: usize, depth: usize) -> Option<u32> {
        let before = self.found;
        let method = self.descend(index, at, depth);
        if method.is_none() {
            self.found = before;
        }
        method
    }

    /// The method of a node's greedy child, which takes the path from segment `depth` on.
    fn greedy(&mut self, node: &ArchivedNodeV1, depth: usize) -> Option<u32> {
        let child = self.stage.nodes.get(node.greedy.to_native() as usize)?;
        let method = self.method(child)?;
        self.found.greedy = depth as u8 + 1;
        Some(method)
    }

    /// The method of the verb, or of `ANY`.
    fn method(&self, node: &ArchivedNodeV1) -> Option<u32> {
        let verbs = u32::from(node.verbs);
        let slot = [self.verb, ANY].into_iter().find(|slot| verbs & 1 << slot != 0)?;
        let methods = node.methods.to_native();
        if verbs & (verbs - 1) == 0 {
            return Some(methods);
        }
        let place = methods + (verbs & ((1 << slot) - 1)).count_ones();
        self.stage.node_methods.get(place as usize).map(|method| method.to_native())
    }

    /// The child of `segment`, which starts at `at`.
    fn static_child(&self, node: &ArchivedNodeV1, at: usize, segment: &[u8]) -> Option<u32> {
        let start = node.edges_start.to_native() as usize;
        let range = start..start + node.edges_len.to_native() as usize;
        let heads = self.stage.edge_heads.get(range.clone())?;
        let skip = usize::from(node.prefix_len.to_native());
        let wanted = head(self.path, at + skip, at + segment.len());
        let first = lower_bound(heads, wanted);
        if heads.get(first)?.to_native() != wanted {
            return None;
        }
        let edges = self.stage.edges.get(range)?;
        let edge = edges.get(first)?;
        let is_whole =
            edge.text_len.to_native() as usize == segment.len() && segment.len() <= skip + HEAD_BYTES;
        if is_whole {
            // The texts are equal where the prefixes are, and all siblings share theirs: one that was just looked at.
            let shared = self.text(edges.first()?)?.get(..skip)?;
            return is_same(shared, segment.get(..skip)?).then(|| edge.node.to_native());
        }
        let edge = match heads.get(first + 1) {
            Some(next) if next.to_native() == wanted => self.edge_among(edges.get(first..)?, segment)?,
            _ => edge,
        };
        is_same(self.text(edge)?, segment).then(|| edge.node.to_native())
    }

    /// The only one of some edges that can be `segment`; they are sorted by their texts.
    fn edge_among<'e>(&self, edges: &'e [ArchivedEdgeV1], segment: &[u8]) -> Option<&'e ArchivedEdgeV1> {
        let at = edges.partition_point(|edge| self.text(edge).is_some_and(|text| text < segment));
        edges.get(at)
    }

    fn text(&self, edge: &ArchivedEdgeV1) -> Option<&[u8]> {
        let (start, length) = (edge.text_start.to_native() as usize, edge.text_len.to_native() as usize);
        self.stage.text.as_bytes().get(start..start + length)
    }
}
