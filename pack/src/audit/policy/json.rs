//! A joined policy for machines: every value with the line that it is from.

use serde_json::{Value, json};

use super::{
    Action, Clarification, Entry, Exception, LicensePattern, LicenseRules, MissingFacts, Policy,
    Rule, Setting, Subject,
};

impl Policy {
    /// Returns what holds, in the words of a policy file. Where several files have rules for licenses, all of them have to let a license pass, and each is there.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let missing = match self.missing_facts.value {
            MissingFacts::Allow => "allow",
            MissingFacts::Warn => "warn",
            MissingFacts::Undecided => "undecided",
        };
        let sandbox = self.sandbox.as_ref();
        json!({
            "name": self.name,
            "unlicensed": of_action(&self.unlicensed),
            "unknown": of_action(&self.unknown),
            "missing-facts": setting(&self.missing_facts, json!(missing)),
            "deprecated": of_action(&self.deprecated),
            "sandbox": sandbox.map(|one| setting(one, json!(one.value.as_str()))),
            "licenses": self.licenses.iter().map(rules).collect::<Vec<_>>(),
            "exception": self.exceptions.iter().map(exception).collect::<Vec<_>>(),
            "clarify": self.clarifications.iter().map(clarification).collect::<Vec<_>>(),
            "limits": {
                "max-exception-days": of_number(&self.max_exception_days),
                "soon-days": of_number(&self.soon_days),
            },
            "lints": {
                "unused-allow": of_action(&self.unused_allow),
                "unused-exception": of_action(&self.unused_exception),
            },
        })
    }
}

fn rules(rules: &LicenseRules) -> Value {
    json!({
        "allow": rules.allow.iter().map(entry).collect::<Vec<_>>(),
        "deny": rules.deny.iter().map(entry).collect::<Vec<_>>(),
        "choice.prefer": patterns(&rules.prefer),
        "rule": rules.rules.iter().map(rule).collect::<Vec<_>>(),
        "place": rules.place,
    })
}

fn entry(entry: &Entry) -> Value {
    json!({"value": entry.pattern.to_string(), "place": entry.place})
}

fn rule(rule: &Rule) -> Value {
    let require: Vec<&str> = rule.require.iter().map(|one| one.as_str()).collect();
    json!({
        "license": patterns(&rule.license),
        "relation": rule.relation,
        "consumer": patterns(&rule.consumer),
        "then": word(rule.then),
        "require": require,
        "reason": rule.reason,
        "place": rule.place,
    })
}

fn exception(exception: &Exception) -> Value {
    json!({
        "component": exception.component.to_string(),
        "license": exception.license.as_ref().map(LicensePattern::to_string),
        "relation": exception.relation,
        "reason": exception.reason,
        "owner": exception.owner,
        "ticket": exception.ticket,
        "until": exception.until.to_string(),
        "place": exception.place,
    })
}

fn clarification(clarification: &Clarification) -> Value {
    let (notice, component) = match &clarification.subject {
        Subject::Notice(digest) => (Some(format!("sha256:{digest}")), None),
        Subject::Component(pattern) => (None, Some(pattern.to_string())),
    };
    json!({
        "notice": notice,
        "component": component,
        "expression": clarification.expression.as_ref().map(ToString::to_string),
        "shipped": clarification.expression.is_some(),
        "reason": clarification.reason,
        "owner": clarification.owner,
        "place": clarification.place,
    })
}

fn setting<T>(setting: &Setting<T>, value: Value) -> Value {
    json!({"value": value, "place": setting.place})
}

fn of_action(one: &Setting<Action>) -> Value {
    setting(one, json!(word(one.value)))
}

fn of_number(one: &Setting<u32>) -> Value {
    setting(one, json!(one.value))
}

fn word(action: Action) -> &'static str {
    let known = Action::WORDS.iter().find(|(_, one)| *one == action);
    known.map_or("", |(word, _)| word)
}

fn patterns(patterns: &[LicensePattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Layer;
    use super::*;

    #[test]
    fn every_value_has_the_line_that_it_is_from() {
        let built_in = Layer::built_in().unwrap();
        let text = "unlicensed = 'warn'\n[licenses]\nallow = ['MIT']\n\
            [[licenses.rule]]\nlicense = 'LGPL-*'\nrelation = ['static']\nthen = 'deny'\n\
            [[exception]]\ncomponent = 'a'\nreason = 'r'\nowner = 'o'\nuntil = 2027-01-01\n\
            [[clarify]]\ncomponent = 'b'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n";
        let policy = Policy::join(&[Layer::parse("p", text).unwrap()], &built_in);
        let json = policy.to_json();
        let place = |line: u32| json!({"file": "p", "line": line});
        assert_eq!(
            json["unlicensed"],
            json!({"value": "warn", "place": place(1)})
        );
        let rules = json["licenses"].as_array().unwrap().iter();
        let own = rules.last().unwrap();
        assert_eq!(own["allow"], json!([{"value": "MIT", "place": place(3)}]));
        assert_eq!(own["rule"][0]["relation"], json!(["static"]));
        assert_eq!(own["rule"][0]["then"], "deny");
        assert_eq!(json["exception"][0]["until"], "2027-01-01");
        assert_eq!(json["clarify"][0]["component"], "b");
    }
}
