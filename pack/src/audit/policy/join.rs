//! Several policies as one: a site's first, a project's last. Who comes later may only tighten what one before has set, unless that one grants more.
//!
//! A license has to pass the rules of every policy that has any. Of a setting the strictest value counts. An exception lifts what its own policy and those after
//! it deny, and what those before it deny only as far as they grant that; the same is true of what somebody says that words mean.

use crate::audit::Place;

use super::{
    Action, Clarification, Exception, Grants, Layer, LicenseRules, Loosened, MissingFacts, Policy,
    SandboxLevel, Setting,
};

/// Days for which an exception may hold, where no policy says.
const MAX_EXCEPTION_DAYS: u32 = 365;
/// Days before the end of an exception on which a warning begins, where no policy says.
const SOON_DAYS: u32 = 30;

/// A setting of one file.
type Get<T> = fn(&Layer) -> Option<&Setting<T>>;

impl Policy {
    /// Joins policies, the one that others may only tighten first. `fallback` decides what none of them speaks of.
    #[must_use]
    pub fn join(layers: &[Layer], fallback: &Layer) -> Self {
        // The built-in list is for everybody, and nobody needs all of it; a list that somebody has written is to be looked after.
        let fallback = &Layer {
            unused_allow: fallback.unused_allow.clone().filter(|_| {
                !layers
                    .iter()
                    .filter_map(|layer| layer.licenses.as_ref())
                    .any(|rules| rules.is_whole)
            }),
            ..fallback.clone()
        };
        let mut join = Join {
            layers,
            fallback,
            loosened: Vec::new(),
        };
        let policy = Self {
            name: join.name(),
            licenses: join.licenses(),
            exceptions: join.exceptions(),
            clarifications: join.clarifications(),
            unlicensed: join.of(
                "unlicensed",
                |layer| layer.unlicensed.as_ref(),
                action,
                Action::Deny,
            ),
            unknown: join.of(
                "unknown",
                |layer| layer.unknown.as_ref(),
                action,
                Action::Deny,
            ),
            missing_facts: join.of(
                "missing-facts",
                |layer| layer.missing_facts.as_ref(),
                missing,
                MissingFacts::Undecided,
            ),
            deprecated: join.of(
                "deprecated",
                |layer| layer.deprecated.as_ref(),
                action,
                Action::Warn,
            ),
            sandbox: join.strictest("sandbox", |layer| layer.sandbox.as_ref(), sandbox),
            max_exception_days: join.of(
                "max-exception-days",
                |layer| layer.max_exception_days.as_ref(),
                |days| -i64::from(days),
                MAX_EXCEPTION_DAYS,
            ),
            soon_days: join.of(
                "soon-days",
                |layer| layer.soon_days.as_ref(),
                i64::from,
                SOON_DAYS,
            ),
            unused_allow: join.of(
                "unused-allow",
                |layer| layer.unused_allow.as_ref(),
                action,
                Action::Warn,
            ),
            unused_exception: join.of(
                "unused-exception",
                |layer| layer.unused_exception.as_ref(),
                action,
                Action::Warn,
            ),
            loosened: Vec::new(),
        };
        Self {
            loosened: join.loosened,
            ..policy
        }
    }
}

const fn action(action: Action) -> i64 {
    match action {
        Action::Allow => 0,
        Action::Warn => 1,
        Action::Deny => 2,
    }
}

const fn missing(missing: MissingFacts) -> i64 {
    match missing {
        MissingFacts::Allow => 0,
        MissingFacts::Warn => 1,
        MissingFacts::Undecided => 2,
    }
}

const fn sandbox(level: SandboxLevel) -> i64 {
    match level {
        SandboxLevel::NoProc => 0,
        SandboxLevel::Full => 1,
    }
}

struct Join<'a> {
    layers: &'a [Layer],
    fallback: &'a Layer,
    /// What had no effect.
    loosened: Vec<Loosened>,
}

impl Join<'_> {
    fn name(&self) -> String {
        let names: Vec<&str> = self
            .layers
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        if names.is_empty() {
            self.fallback.name.clone()
        } else {
            names.join(" and ")
        }
    }

    /// The rules of all that have some, with the number of their policy. Those that do not say what is allowed go before the built-in ones.
    fn licenses(&self) -> Vec<LicenseRules> {
        let numbered = (0..).zip(self.layers).filter_map(|(layer, one)| {
            let mut rules = one.licenses.clone()?;
            if let Some(fallback) = self.fallback.licenses.as_ref().filter(|_| !rules.is_whole) {
                rules.allow.extend_from_slice(&fallback.allow);
                rules.deny.extend_from_slice(&fallback.deny);
                rules.rules.extend_from_slice(&fallback.rules);
            }
            Some(LicenseRules { layer, ..rules })
        });
        let mut rules: Vec<LicenseRules> = numbered.collect();
        if rules.is_empty() {
            rules.extend(self.fallback.licenses.clone());
        }
        rules
    }

    /// The first policy that the policy number `layer` may loosen.
    fn reach(&self, layer: usize, grants: fn(Grants) -> bool) -> usize {
        let before = self.layers.iter().take(layer).rev();
        layer - before.take_while(|one| grants(one.grants)).count()
    }

    fn exceptions(&self) -> Vec<Exception> {
        let mut all = Vec::new();
        for (layer, one) in self.layers.iter().enumerate() {
            let reach = self.reach(layer, |grants| grants.exceptions);
            let exceptions = one.exceptions.iter().cloned();
            all.extend(exceptions.map(|exception| Exception { reach, ..exception }));
        }
        all
    }

    fn clarifications(&mut self) -> Vec<Clarification> {
        let mut all = Vec::new();
        for (layer, one) in self.layers.iter().enumerate() {
            if self.reach(layer, |grants| grants.clarifications) == 0 {
                all.extend(one.clarifications.iter().cloned());
                continue;
            }
            self.loosened
                .extend(one.clarifications.iter().map(|clarification| {
                    Loosened {
                        what: "this clarification".to_owned(),
                        place: clarification.place.clone(),
                        by: self
                            .layers
                            .first()
                            .map(|site| site.name.clone())
                            .unwrap_or_default(),
                    }
                }));
        }
        all
    }

    /// The strictest value of a setting; of equal ones the first.
    fn strictest<T: Copy>(
        &mut self,
        key: &'static str,
        get: Get<T>,
        strictness: impl Fn(T) -> i64,
    ) -> Option<Setting<T>> {
        let mut found: Option<Setting<T>> = None;
        for (layer, one) in self.layers.iter().enumerate() {
            let Some(setting) = get(one) else { continue };
            match &found {
                Some(known) if strictness(setting.value) <= strictness(known.value) => {
                    if strictness(setting.value) < strictness(known.value) {
                        self.loosened.push(Loosened {
                            what: format!("this `{key}`"),
                            place: setting.place.clone(),
                            by: known.place.to_string(),
                        });
                    }
                }
                _ => {
                    found = Some(Setting {
                        layer,
                        ..setting.clone()
                    });
                }
            }
        }
        found.or_else(|| get(self.fallback).cloned())
    }

    fn of<T: Copy>(
        &mut self,
        key: &'static str,
        get: Get<T>,
        strictness: impl Fn(T) -> i64,
        default: T,
    ) -> Setting<T> {
        let found = self.strictest(key, get, strictness);
        found.unwrap_or_else(|| Setting {
            value: default,
            place: Place {
                file: self.fallback.name.clone(),
                line: 1,
            },
            layer: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(texts: &[&str]) -> Policy {
        let layers: Vec<Layer> = ["site", "user", "project"]
            .iter()
            .zip(texts)
            .map(|(name, text)| Layer::parse(name, text).unwrap())
            .collect();
        Policy::join(&layers, &Layer::built_in().unwrap())
    }

    fn loosened(policy: &Policy) -> Vec<String> {
        let all = policy.loosened.iter();
        all.map(|one| format!("{}: {} by {}", one.place, one.what, one.by))
            .collect()
    }

    #[test]
    fn the_strictest_of_a_setting_counts_and_is_known_by_its_line() {
        let policy = join(&[
            "unlicensed = 'warn'\nmissing-facts = 'undecided'\n[limits]\nmax-exception-days = 90\n",
            "",
            "unlicensed = 'deny'\nmissing-facts = 'allow'\n[limits]\nmax-exception-days = 400\nsoon-days = 60\n",
        ]);
        assert_eq!(policy.unlicensed.value, Action::Deny);
        assert_eq!(policy.unlicensed.place.to_string(), "project:1");
        assert_eq!(policy.missing_facts.value, MissingFacts::Undecided);
        assert_eq!(policy.missing_facts.place.to_string(), "site:2");
        assert_eq!(
            (policy.max_exception_days.value, policy.soon_days.value),
            (90, 60)
        );
        assert_eq!(
            loosened(&policy),
            [
                "project:2: this `missing-facts` by site:2",
                "project:4: this `max-exception-days` by site:4"
            ]
        );
        assert_eq!(policy.name, "site and user and project");
    }

    #[test]
    fn what_nobody_sets_is_as_in_the_built_in_policy() {
        let policy = join(&["deprecated = 'deny'\n"]);
        let built_in = Policy::built_in().unwrap();
        assert_eq!(policy.licenses, built_in.licenses);
        assert_eq!(policy.missing_facts, built_in.missing_facts);
        assert_eq!(policy.deprecated.value, Action::Deny);
    }

    #[test]
    fn what_a_project_lets_pass_reaches_as_far_as_others_grant() {
        let exception = "[[exception]]\ncomponent = 'a'\nreason = 'r'\nowner = 'o'\nuntil = 2027-01-01\n\
             [[clarify]]\ncomponent = 'a'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n";
        let granting = "[grant]\nexceptions = true\nclarifications = true\n";
        for (site, user, reach, clarifications) in [
            ("", "", 2, 0),
            ("", granting, 1, 0),
            (granting, granting, 0, 1),
            (granting, "", 2, 0),
        ] {
            let policy = join(&[site, user, exception]);
            let found: Vec<usize> = policy.exceptions.iter().map(|one| one.reach).collect();
            assert_eq!(found, [reach], "{site:?} {user:?}");
            assert_eq!(policy.clarifications.len(), clarifications);
            assert_eq!(loosened(&policy).len(), 1 - clarifications);
        }
        assert_eq!(
            join(&[exception]).clarifications.len(),
            1,
            "nobody is above it"
        );
    }
}
