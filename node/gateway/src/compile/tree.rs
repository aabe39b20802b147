//! Builds the path tree and flattens it into the arrays that the router searches.

use std::collections::HashMap;

use tidegate_proto::{
    compiled::{EdgeV1, NONE, NodeV1, StageV1},
    limits,
};

use super::{CompileError, Site};
use crate::router;

/// The tree while it grows; node 0 is `/`.
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    statics: HashMap<(u32, &'a str), u32>,
}

impl Default for Tree<'_> {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], statics: HashMap::new() }
    }
}

struct Node<'a> {
    children: Vec<(&'a str, u32)>,
    parameter: u32,
    greedy: u32,
    methods: [u32; 8],
}

impl Default for Node<'_> {
    fn default() -> Self {
        Self { children: Vec::new(), parameter: NONE, greedy: NONE, methods: [NONE; 8] }
    }
}

impl<'a> Tree<'a> {
    /// Adds the site's path; returns its node and the names of its path parameters.
    pub(super) fn insert(&mut self, site: &Site<'a>) -> Result<(u32, Vec<String>), CompileError> {
        let fault = |rule: &str| site.error("path", Some(site.path), rule);
        let Some(path) = site.path.strip_prefix('/') else {
            return Err(fault("a path starts with a slash"));
        };
        let mut names = Vec::new();
        let mut node = 0;
        let mut segments = path.split('/').filter(|_| !path.is_empty()).peekable();
        let mut depth = 0;
        while let Some(segment) = segments.next() {
            depth += 1;
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            node = match name {
                None if segment.is_empty() => return Err(fault("a path has no empty segment")),
                None => self.child(node, segment),
                Some(name) => {
                    let bare = name.strip_suffix('+');
                    if bare.is_some() && segments.peek().is_some() {
                        return Err(fault("Cannot create a child of a resource with a greedy path variable"));
                    }
                    names.push(bare.unwrap_or(name).to_owned());
                    self.variable(node, bare.is_some())
                }
            };
        }
        if depth > limits::PATH_SEGMENTS_MAX || names.len() > limits::PATH_PARAMETERS_MAX {
            return Err(fault("the path has too many segments or parameters"));
        }
        Ok((node, names))
    }

    /// Puts a method on a node.
    pub(super) fn set_method(&mut self, node: u32, slot: usize, method: u32) {
        if let Some(place) = self.nodes.get_mut(node as usize).and_then(|node| node.methods.get_mut(slot)) {
            *place = method;
        }
    }

    /// Writes nodes and edges, children of a node side by side.
    pub(super) fn flatten(self, out: &mut StageV1) {
        let mut texts = HashMap::new();
        for node in &self.nodes {
            let prefix_len = common_prefix(&node.children);
            let edges_start = out.edges.len() as u32;
            let mut children: Vec<(&str, u32)> = node.children.clone();
            children.sort_unstable();
            for (segment, child) in children {
                let text_start = *texts.entry(segment).or_insert_with(|| {
                    let start = out.text.len() as u32;
                    out.text.push_str(segment);
                    start
                });
                let head = router::head(segment.as_bytes(), usize::from(prefix_len), segment.len());
                out.edge_heads.push(head);
                out.edges.push(EdgeV1 { text_start, text_len: segment.len() as u32, node: child });
            }
            let methods = node.methods.iter().enumerate().filter(|(_, method)| **method != NONE);
            let verbs = methods.clone().fold(0, |verbs, (slot, _)| verbs | 1 << slot);
            let mut methods = methods.map(|(_, method)| *method).collect::<Vec<_>>();
            let methods = match methods.as_slice() {
                [one] => *one,
                _ => {
                    let start = out.node_methods.len() as u32;
                    out.node_methods.append(&mut methods);
                    start
                }
            };
            out.nodes.push(NodeV1 {
                edges_start,
                edges_len: node.children.len() as u32,
                parameter: node.parameter,
                greedy: node.greedy,
                methods,
                prefix_len,
                verbs,
            });
        }
    }

    fn child(&mut self, parent: u32, segment: &'a str) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.statics.entry((parent, segment)).or_insert(next);
        if node == next {
            self.nodes.push(Node::default());
            if let Some(parent) = self.nodes.get_mut(parent as usize) {
                parent.children.push((segment, node));
            }
        }
        node
    }

    fn variable(&mut self, parent: u32, greedy: bool) -> u32 {
        let next = self.nodes.len() as u32;
        let Some(parent) = self.nodes.get_mut(parent as usize) else {
            return next;
        };
        let place = if greedy { &mut parent.greedy } else { &mut parent.parameter };
        if *place != NONE {
            return *place;
        }
        *place = next;
        self.nodes.push(Node::default());
        next
    }
}

/// Bytes that all children share at their start, as far as they can be counted.
fn common_prefix(children: &[(&str, u32)]) -> u16 {
    let Some(((first, _), rest)) = children.split_first() else {
        return 0;
    };
    let shared = rest.iter().fold(first.len(), |length, (segment, _)| {
        first.bytes().zip(segment.bytes()).take(length).take_while(|(a, b)| a == b).count()
    });
    u16::try_from(shared).unwrap_or(u16::MAX)
}
