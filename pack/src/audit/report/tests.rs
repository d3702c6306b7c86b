use serde_json::json;

use super::{Summary, to_html, to_junit, to_sarif, to_text};
use crate::audit::{
    Audit, Drift,
    inventory::{Edge, Inventory, Relation, Unit},
    judge,
    policy::Policy,
};

fn unit(name: &str, version: &str, license: &str) -> Unit {
    Unit {
        key: format!("/pith/store/{name}"),
        name: name.to_owned(),
        version: Some(version.to_owned()),
        declared: Some(license.to_owned()),
        recipe: Some(format!("//{name}/recipe.star:3")),
        findings: Some(Vec::new()),
        ..Unit::default()
    }
}

/// An app whose name would be markup, and a library.
fn inventory(relation: Relation, version: &str) -> Inventory {
    Inventory {
        roots: vec![0],
        units: vec![
            unit("<app>", "1", "MIT"),
            unit("lib", version, "LGPL-2.1-only"),
        ],
        edges: vec![Edge {
            from: 0,
            to: 1,
            relation,
            evidence: "bin/app".to_owned(),
        }],
        ..Inventory::default()
    }
}

const POLICY: &str = "[licenses]\nallow = ['MIT', 'LGPL-*']\n[[licenses.rule]]\nlicense = 'LGPL-*'\nrelation = 'static'\nthen = 'deny'\nreason = 'relink'\n";

fn audit(inventory: &Inventory) -> Audit {
    let (policy, today) = (
        Policy::parse("p.toml", POLICY).unwrap(),
        "2026-11-22".parse().unwrap(),
    );
    judge(inventory, &policy, today)
}

#[test]
fn the_text_is_that_of_a_compiler() {
    let text = to_text(&audit(&inventory(Relation::Static, "2")));
    assert_eq!(
        text,
        "\
error[L120]: `<app>-1` links statically `lib-2`, which is under `LGPL-2.1-only`: a license that may not be joined in this way
  --> p.toml:3
   | declared at //lib/recipe.star:3
   = <app>-1
   = └ links statically lib-2  (bin/app)
   = help: relink
   = in the policy:
       [[exception]]
       component = \"lib\"
       license = \"LGPL-2.1-only\"
       relation = \"static\"
       reason = \"…\"
       owner = \"…\"
       until = …
   = way out: Replace it, or join it in another way: what is linked statically, dynamically. If it may stay, paste an exception into the policy: `[[exception]]` with `component`, `license` and `relation`, as the finding shows them, and `reason`, `owner` and `until`.

2 components: may not be shipped (1 denied)
  by p.toml as of 2026-11-22
"
    );
}

#[test]
fn sarif_has_a_rule_for_each_code_and_a_fingerprint_that_stays() {
    let of = |version| to_sarif(&audit(&inventory(Relation::Static, version)));
    let (document, other) = (of("2"), of("3"));
    let result = &document["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "L120");
    assert_eq!(
        document["runs"][0]["tool"]["driver"]["rules"][0]["id"],
        "L120"
    );
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        place,
        &json!({"artifactLocation": {"uri": "p.toml"}, "region": {"startLine": 3}})
    );
    assert_eq!(of("2"), document);
    assert_ne!(
        result["partialFingerprints"],
        other["runs"][0]["results"][0]["partialFingerprints"]
    );
}

#[test]
fn junit_counts_components_and_the_policy() {
    let text = to_junit(&audit(&inventory(Relation::Static, "2")));
    assert!(
        text.contains("tests=\"3\" failures=\"1\" errors=\"0\""),
        "{text}"
    );
    assert!(text.contains("name=\"&lt;app&gt;-1\"/>"), "{text}");
    assert!(
        text.contains("<failure type=\"L120\" message=\"`&lt;app&gt;-1` links statically `lib-2`"),
        "{text}"
    );
}

#[test]
fn the_page_needs_nothing_else_and_takes_no_markup_from_names() {
    let inventory = inventory(Relation::Static, "2");
    let page = to_html(
        &audit(&inventory),
        &inventory,
        "</title><script>alert(1)</script>",
    );
    for outside in [
        "http://",
        "https://",
        "src=",
        "@import",
        "<script>alert",
        "<app>",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(
        page.matches("<details").count(),
        page.matches("</details>").count()
    );
    assert_eq!(page.matches("<li").count(), page.matches("</li>").count());
    assert!(
        page.contains(
            "<li data-text=\"lib-2 lgpl-2.1-only\">links statically <strong>lib-2</strong>"
        ),
        "{page}"
    );
}

#[test]
fn a_difference_says_versions_uses_and_findings() {
    let (before, after) = (
        inventory(Relation::Needed, "2"),
        inventory(Relation::Static, "3"),
    );
    let (old, new) = (audit(&before), audit(&after));
    let drift = Drift::between((&before, &old), (&after, &new));
    let text = drift.to_text();
    assert!(
        text.starts_with(
            "~ lib\n    version: 2 → 3\n    use: needed by <app> → static by <app>\nnew: L120: "
        ),
        "{text}"
    );
    let markdown = drift.to_markdown();
    assert!(
        markdown.contains(
            "| lib | changed | version: 2 → 3<br>use: needed by &lt;app> → static by &lt;app> |"
        ),
        "{markdown}"
    );
    assert!(Drift::between((&before, &old), (&before, &old)).is_empty());
}

#[test]
fn a_summary_is_a_sentence() {
    let sentence = |relation| Summary::of(&audit(&inventory(relation, "2"))).sentence();
    assert_eq!(sentence(Relation::Needed), "2 components: may be shipped");
    assert_eq!(
        sentence(Relation::Static),
        "2 components: may not be shipped (1 denied)"
    );
}
