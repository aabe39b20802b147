//! The limiters that others run, as models of their documented behaviour, to be held against ours on the same requests. They fail
//! open, as their defaults or usual deployments do. Owns the list; each model is a file of its own.

mod alone;
mod central;
mod drifting;
mod owner;
mod trickle;
mod window;

pub(crate) use alone::Alone;
pub(crate) use central::Central;
pub(crate) use drifting::Drifting;
pub(crate) use owner::Owner;
pub(crate) use trickle::Trickle;
pub(crate) use window::Window;
