//! Who asks where, and how often: clients of very different size whose requests arrive at changing nodes, with bursts and lulls.
//! Owns the shape of the load; must never look at what became of a request.

use super::{
    chance::Chance,
    course::{Course, Mix, Terms},
    level::Limit,
    moment::{SECOND, ns},
};

/// Chance per second of a burst or a lull of a client.
const SURGE: f64 = 0.03;
/// What a burst and a lull multiply.
const SURGES: [f64; 2] = [3.0, 0.1];
/// Numbers of the limits that are attacked.
const ATTACKED: [Limit; 4] = [
    Limit { rate: 5.0, burst: 10.0 },
    Limit { rate: 50.0, burst: 50.0 },
    Limit { rate: 1_000.0, burst: 1_000.0 },
    Limit { rate: 10_000.0, burst: 5_000.0 },
];

/// More clients than this share plans.
const PLANLESS_KEYS_MAX: usize = 10_000;
/// The rates of neighbouring plans.
const PLAN_STEP: f64 = 1.05;

/// How a client's requests spread over nodes.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Even,
    /// By rank.
    Skewed,
    /// Nine of ten on one node.
    Single,
}

#[derive(Clone, Debug)]
struct Client {
    /// Requests per second.
    base: f64,
    surge: f64,
    surge_until: u64,
    spread: Spread,
    /// The nodes, most requests first.
    order: Vec<u8>,
}

/// The load.
#[derive(Debug)]
pub(crate) struct Demand {
    clients: Vec<Client>,
    /// The limit of each client, then the shared ones.
    pub(crate) limits: Vec<Limit>,
    settled_s: f64,
    chance: Chance,
    /// Sum of requests per second of clients so far, in order.
    sums: Vec<f64>,
    /// Sum of the parts of nodes so far, by client, then node.
    parts: Vec<f32>,
    nodes: usize,
}

impl Demand {
    /// The load of a course.
    pub(crate) fn new(course: &Course) -> Self {
        let mut chance = Chance::new(course.seed, "demand");
        let nodes = course.places.nodes();
        let whole: f64 = (1..=course.keys).map(|rank| (rank as f64).powf(-course.skew)).sum();
        let (mut clients, mut limits) = (Vec::new(), Vec::new());
        for rank in 1..=course.keys {
            let base = course.requests_per_second * (rank as f64).powf(-course.skew) / whole;
            limits.push(limit_of(course, rank - 1, base, &mut chance));
            let spread = match chance.fraction() {
                _ if course.mix == Mix::Attack => Spread::Even,
                part if part < 0.4 => Spread::Even,
                part if part < 0.8 => Spread::Skewed,
                _ => Spread::Single,
            };
            let mut order: Vec<u8> = (0..nodes as u8).collect();
            chance.shuffle(&mut order);
            clients.push(Client { base, surge: 1.0, surge_until: 0, spread, order });
        }
        limits.extend((0..course.shared).map(|at| shared_limit(course, at, &clients, &mut chance)));
        let mut demand = Self {
            parts: vec![0.0; clients.len() * nodes],
            clients,
            limits,
            settled_s: course.settled_s,
            chance,
            sums: Vec::new(),
            nodes,
        };
        demand.route(&vec![true; nodes]);
        demand
    }

    /// Goes on by a second: clients surge, lull, and move.
    pub(crate) fn step(&mut self, now_ns: u64, routable: &[bool]) {
        for client in &mut self.clients {
            if self.chance.happens(1.0 / self.settled_s) {
                self.chance.shuffle(&mut client.order);
            }
            if client.surge != 1.0 {
                if now_ns >= client.surge_until {
                    client.surge = 1.0;
                }
            } else if self.chance.happens(SURGE) && self.settled_s.is_finite() {
                client.surge = SURGES[self.chance.below(SURGES.len())];
                client.surge_until = now_ns + ns(1.0 + self.chance.below(4) as f64);
            }
        }
        self.route(routable);
    }

    /// Spreads every client's requests over the nodes that clients are sent to.
    pub(crate) fn route(&mut self, routable: &[bool]) {
        self.sums.clear();
        let mut whole = 0.0;
        for (client, parts) in self.clients.iter().zip(self.parts.chunks_mut(self.nodes)) {
            whole += client.base * client.surge;
            self.sums.push(whole);
            let mut weights = [0.0_f32; 256];
            for (rank, node) in client.order.iter().enumerate() {
                weights[usize::from(*node)] = client.spread.weight(rank, self.nodes) as f32;
            }
            let mut sum = 0.0;
            for (node, part) in parts.iter_mut().enumerate() {
                sum += if routable[node] { weights[node] } else { 0.0 };
                *part = sum;
            }
        }
    }

    /// Requests per second of all.
    pub(crate) fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    /// Draws the client and the node of a request.
    pub(crate) fn draw(&self, chance: &mut Chance) -> (usize, usize) {
        let at = chance.fraction() * self.total();
        let client = self.sums.partition_point(|sum| *sum <= at).min(self.clients.len() - 1);
        let parts = &self.parts[client * self.nodes..(client + 1) * self.nodes];
        let at = chance.fraction() as f32 * parts[self.nodes - 1];
        (client, parts.iter().position(|sum| *sum > at).unwrap_or(self.nodes - 1))
    }
}

impl Spread {
    fn weight(self, rank: usize, nodes: usize) -> f64 {
        match self {
            Self::Even => 1.0,
            Self::Skewed => 1.0 / (rank as f64 + 1.0),
            Self::Single if rank == 0 => 0.9,
            Self::Single => 0.1 / (nodes as f64 - 1.0),
        }
    }
}

fn limit_of(course: &Course, at: usize, base: f64, chance: &mut Chance) -> Limit {
    if course.mix == Mix::Attack {
        return ATTACKED[at % ATTACKED.len()];
    }
    match course.terms(at) {
        Terms::Quota => {
            let part = if chance.happens(0.7) { chance.between(0.35, 0.75) } else { 2.0 };
            Limit { rate: 0.0, burst: (base * course.length_s * part).floor().max(50.0) }
        }
        Terms::Default | Terms::Strict => {
            let load = match chance.fraction() {
                part if part < 0.55 => chance.between(0.05, 0.6),
                part if part < 0.72 => chance.between(0.8, 1.1),
                _ => chance.between(1.2, 5.0),
            };
            let rate = of_a_plan(course, (base / load).max(2.0));
            let burst = (rate * [0.5, 1.0, 2.0][chance.below(3)]).max(10.0);
            Limit { rate, burst: burst.floor() }
        }
    }
}

/// With very many clients, those of one plan have the same numbers.
fn of_a_plan(course: &Course, rate: f64) -> f64 {
    if course.keys <= PLANLESS_KEYS_MAX {
        return rate;
    }
    PLAN_STEP.powf((rate.ln() / PLAN_STEP.ln()).round())
}

fn shared_limit(course: &Course, at: usize, clients: &[Client], chance: &mut Chance) -> Limit {
    let of_it = clients.iter().skip(at).step_by(course.shared.max(1));
    let rate = of_it.map(|client| client.base).sum::<f64>() * chance.between(0.3, 1.2);
    Limit { rate: rate.max(2.0), burst: (rate * [0.2, 1.0][chance.below(2)]).max(10.0).floor() }
}

/// How often the load changes.
pub(crate) const STEP_NS: u64 = SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_shape() {
        let course = Course::reference(3);
        let mut demand = Demand::new(&course);
        let mut chance = Chance::new(1, "test");
        assert!((demand.total() - course.requests_per_second).abs() < 1.0);
        let mut first = 0;
        let mut nodes = vec![0; 12];
        for _ in 0..60_000 {
            let (client, node) = demand.draw(&mut chance);
            first += usize::from(client == 0);
            nodes[node] += 1;
        }
        assert!((9_000..10_100).contains(&first), "{first} of 60,000 are of the largest client");
        assert!(nodes.iter().all(|count| *count > 1_000), "{nodes:?}");
        let mut routable = vec![true; 12];
        routable[4] = false;
        demand.step(SECOND, &routable);
        assert!((0..60_000).all(|_| demand.draw(&mut chance).1 != 4));
    }

    #[test]
    fn many_limits_are_short() {
        let course = Course::reference(1);
        let demand = Demand::new(&course);
        let over = demand.clients.iter().zip(&demand.limits).filter(|(c, l)| c.base > 1.15 * l.rate).count();
        assert!((60..110).contains(&over), "{over} of 300");
    }
}
