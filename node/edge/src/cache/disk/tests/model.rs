//! Everything that happens to answers on disk, in any order and without a pause, against what is valid.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const LANGUAGES: [&str; 3] = ["en", "de", "fr"];
const STEM: &[u8] = b"stem";

#[derive(Clone, Debug)]
enum Step {
    /// Another answer of a key leaves the memory.
    Offer(u8),
    /// A key is made invalid.
    Forget(u8),
    Find(u8),
    OfferVariant(usize),
    ForgetVariants,
    FindVariant(usize),
    Settle,
    Close,
    Kill,
    /// The same, and what is there is not known yet when it goes on.
    Begin,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..3_u8;
    let language = || 0..LANGUAGES.len();
    prop_oneof![
        4 => key().prop_map(Step::Offer),
        2 => key().prop_map(Step::Forget),
        4 => key().prop_map(Step::Find),
        4 => language().prop_map(Step::OfferVariant),
        1 => Just(Step::ForgetVariants),
        4 => language().prop_map(Step::FindVariant),
        2 => Just(Step::Settle),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        2 => Just(Step::Begin),
    ]
}

/// What is valid, and what a node would have in memory.
struct Model {
    rig: Rig,
    now_ms: u64,
    version: u32,
    plain: HashMap<u8, u32>,
    variants: HashMap<usize, u32>,
    known: Option<Arc<Variants>>,
    /// Answers that were found.
    found: u32,
}

impl Model {
    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Offer(key) => {
                let body = self.next();
                self.rig.tier().forget_key(&[*key]);
                self.rig.tier().offer(&answer(&[*key], &body.to_le_bytes()));
                self.plain.insert(*key, body);
            }
            Step::Forget(key) => {
                self.rig.tier().forget_key(&[*key]);
                self.plain.remove(key);
            }
            Step::Find(key) => {
                let found = self.rig.find(&[*key]);
                self.check(found.as_deref(), self.plain.get(key).copied())?;
            }
            Step::OfferVariant(nth) => self.offer_variant(*nth),
            Step::ForgetVariants => {
                // As a store does it: first those are told who have answers of them.
                self.known.take().inspect(|known| known.let_go());
                self.rig.tier().forget_key(STEM);
                self.variants.clear();
            }
            Step::FindVariant(nth) => {
                for known in [self.known.clone(), None] {
                    let found = self.rig.find_with(STEM, known, &says(LANGUAGES[*nth]));
                    let entry = found.and_then(|found| found.entry);
                    self.check(entry.as_deref(), self.variants.get(nth).copied())?;
                }
            }
            Step::Settle => self.rig.settled(),
            Step::Close => {
                self.rig.close(&[]);
                self.restart();
            }
            Step::Kill => {
                self.rig.kill();
                self.restart();
                eventually("all is known", || self.rig.disk().shared.index.is_whole());
            }
            Step::Begin => {
                self.rig.kill();
                self.restart();
            }
        }
        Ok(())
    }

    fn offer_variant(&mut self, nth: usize) {
        let known = self.known.clone().or_else(|| {
            // A request looks on disk first.
            self.rig.find_with(STEM, None, &says(LANGUAGES[nth]))?.variants
        });
        let known = known.unwrap_or_else(|| {
            let new = variants(STEM);
            self.rig.tier().forget(&Kept::Variants(Arc::clone(&new)));
            self.variants.clear();
            new
        });
        let body = self.next();
        let entry = variant(&known, LANGUAGES[nth], &body.to_le_bytes());
        self.rig.tier().forget(&Kept::Answer(Arc::clone(&entry)));
        self.rig.tier().offer(&entry);
        self.variants.insert(nth, body);
        self.known = Some(known);
    }

    fn restart(&mut self) {
        self.now_ms += 2_000;
        self.known = None;
        self.rig.begin(self.now_ms);
    }

    fn next(&mut self) -> u32 {
        self.version += 1;
        self.version
    }

    fn check(&mut self, found: Option<&Entry>, valid: Option<u32>) -> Result<(), TestCaseError> {
        if let Some(found) = found {
            self.found += 1;
            let body = found.body.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            prop_assert_eq!(body, valid);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_what_is_valid_is_ever_found(steps in prop::collection::vec(step(), 1..60)) {
        let rig = Rig::new(1 << 24);
        let (plain, variants) = (HashMap::new(), HashMap::new());
        let mut model = Model { rig, now_ms: NOW_MS, version: 0, plain, variants, known: None, found: 0 };
        for step in &steps {
            model.take(step)?;
        }
        // Once all has come to rest, what is valid is there.
        eventually("all is known", || model.rig.disk().shared.index.is_whole());
        for key in 0..3 {
            model.take(&Step::Offer(key))?;
        }
        model.rig.settled();
        let found = model.found;
        for key in 0..3 {
            model.take(&Step::Find(key))?;
        }
        prop_assert_eq!(model.found, found + 3);
    }
}
