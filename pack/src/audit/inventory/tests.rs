use std::error::Error;

use store::{
    Component, ContainedComponent, Node, ObjectId, PathInfo, Reference, StorePath, TreeId,
    facts::{Facts, LinkFacts, LinkInput, LinkKind, Linked},
};

use super::{Inventory, Relation, UnitKind};
use crate::audit::{Gathered, Part};

type TestResult = Result<(), Box<dyn Error>>;

fn path(digit: char, name: &str) -> Result<StorePath, Box<dyn Error>> {
    Ok(format!("{}-{name}", digit.to_string().repeat(40)).parse()?)
}

/// A path with a component of its name that refers to others, and what was linked into its `bin/app`.
fn part(path: &StorePath, references: &[&StorePath], inputs: Vec<LinkInput>) -> Part {
    let id = ObjectId::from_bytes([0x11; 32]);
    let references = references.iter().map(|path| Reference {
        path: (*path).clone(),
        id,
        file: "bin/app".to_owned(),
        offset: 7,
    });
    let name = path.name().to_string();
    let link = LinkFacts {
        file: "bin/app".to_owned(),
        linked: Linked::Recorded,
        inputs,
    };
    Part {
        info: PathInfo {
            path: path.clone(),
            id,
            root: Node::Directory {
                tree: TreeId::from_bytes([0x22; 32]),
                size_bytes: 1,
                nodes: 1,
            },
            references: references.collect(),
            self_reference: false,
            size_bytes: 1,
            nodes: 1,
            registered: 1,
            component: Some(Component {
                recipe: Some(format!("//{name}/recipe.star:1")),
                license: Some("MIT".to_owned()),
                contains: vec![ContainedComponent {
                    name: "serde".to_owned(),
                    version: Some("1.0".to_owned()),
                    purl: "pkg:cargo/serde@1.0".to_owned(),
                    license: Some("MIT OR Apache-2.0".to_owned()),
                    ..ContainedComponent::default()
                }],
                name,
                ..Component::default()
            }),
        },
        facts: Some(Facts {
            links: vec![link],
            ..Facts::default()
        }),
    }
}

fn input(
    kind: LinkKind,
    object: Option<&StorePath>,
    component: Option<&str>,
    members: &[&str],
) -> LinkInput {
    LinkInput {
        kind,
        object: object.map(StorePath::to_logical),
        component: component.map(str::to_owned),
        file: "lib/libz.a".to_owned(),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
    }
}

#[test]
fn the_linker_says_more_than_a_reference_and_finds_what_is_not_in_the_closure() -> TestResult {
    let (app, libc, zlib) = (path('a', "app")?, path('b', "libc")?, path('c', "zlib")?);
    let inputs = vec![
        input(LinkKind::Needed, Some(&libc), None, &[]),
        input(
            LinkKind::Static,
            Some(&zlib),
            None,
            &["adler32.o", "crc32.o", "inffast.o", "inflate.o", "zutil.o"],
        ),
        input(LinkKind::Static, None, Some("libstdc++"), &[]),
        input(LinkKind::Runtime, None, Some("gcc-12"), &[]),
        input(LinkKind::Static, None, None, &[]),
    ];
    let gathered = Gathered {
        parts: vec![part(&app, &[&libc], inputs), part(&libc, &[], Vec::new())],
        linked: Vec::new(),
    };
    let inventory = Inventory::of_closure(&gathered, std::slice::from_ref(&app));
    let units: Vec<_> = inventory
        .units
        .iter()
        .map(|unit| (unit.name.as_str(), unit.kind))
        .collect();
    assert_eq!(
        units,
        [
            ("app", UnitKind::Object),
            ("libc", UnitKind::Object),
            ("zlib", UnitKind::Linked),
            ("serde", UnitKind::Vendored),
            ("libstdc++", UnitKind::Toolchain),
        ]
    );
    let edges: Vec<_> = inventory
        .edges
        .iter()
        .map(|edge| (edge.from, edge.to, edge.relation, edge.evidence.as_str()))
        .collect();
    assert_eq!(
        edges,
        [
            (0, 1, Relation::Needed, "bin/app: lib/libz.a"),
            (
                0,
                2,
                Relation::Static,
                "bin/app: lib/libz.a (adler32.o, crc32.o, inffast.o, inflate.o, … 5 members)"
            ),
            (0, 3, Relation::Vendored, "pkg:cargo/serde@1.0"),
            (0, 4, Relation::Static, "bin/app: lib/libz.a"),
            (1, 3, Relation::Vendored, "pkg:cargo/serde@1.0"),
        ]
    );
    assert_eq!(inventory.roots, [0]);
    Ok(())
}

#[test]
fn every_way_is_found_the_shortest_first() -> TestResult {
    let (app, lib, libc) = (path('a', "app")?, path('b', "lib")?, path('c', "libc")?);
    let gathered = Gathered {
        parts: vec![
            part(&app, &[&lib, &libc], Vec::new()),
            part(&lib, &[&libc], Vec::new()),
            part(&libc, &[], Vec::new()),
        ],
        linked: Vec::new(),
    };
    let inventory = Inventory::of_closure(&gathered, std::slice::from_ref(&app));
    let found = inventory.chains(&|unit| unit == 2);
    let chains: Vec<Vec<&str>> = found
        .chains
        .iter()
        .map(|chain| chain.iter().map(|step| step.component.as_str()).collect())
        .collect();
    assert_eq!(chains, [vec!["app", "libc"], vec!["app", "lib", "libc"]]);
    assert!(!found.more);
    let evidence = found
        .chains
        .first()
        .and_then(|chain| chain.last()?.evidence.as_deref());
    assert_eq!(evidence, Some("bin/app at byte 7"));
    Ok(())
}

#[test]
fn more_ways_than_anybody_reads_are_cut_off_and_said() {
    // Twenty layers of two: a million ways.
    let mut inventory = Inventory {
        roots: vec![0],
        ..Inventory::default()
    };
    inventory.units.resize_with(42, Default::default);
    for layer in 0..20 {
        for from in [2 * layer, 2 * layer + 1] {
            for to in [2 * layer + 2, 2 * layer + 3] {
                inventory.edges.push(super::Edge {
                    from,
                    to,
                    relation: Relation::Reference,
                    evidence: String::new(),
                });
            }
        }
    }
    let found = inventory.chains(&|unit| unit == 41);
    assert_eq!((found.chains.len(), found.more), (super::MAX_CHAINS, true));
}

#[test]
fn a_bill_declares_and_leaves_the_layers_of_a_base_undescribed() -> TestResult {
    use crate::existing::{BaseLayer, BillPackage, BillPart, ImageFacts, LayerFacts, RunFacts};
    let (app, libc) = (path('a', "app")?, path('b', "libc")?);
    let package = |path: &StorePath, references: &[&StorePath]| BillPackage {
        path: path.clone(),
        id: ObjectId::from_bytes([0x11; 32]),
        name: path.name().to_string(),
        version: None,
        license: Some("MIT".to_owned()),
        purl: None,
        is_set: path.name().as_str() == "app",
        in_base: false,
        references: references.iter().map(|path| (*path).clone()).collect(),
        contains: vec![BillPart {
            name: "serde".to_owned(),
            version: None,
            license: None,
            purl: "pkg:cargo/serde@1.0".to_owned(),
        }],
        links: Vec::new(),
        uses: Vec::new(),
    };
    let layer = |text: &str| LayerFacts {
        digest: crate::oci::Digest::of(text.as_bytes()),
        size_bytes: 9,
        media_type: String::new(),
        made_by: None,
        foreign: (text == "other").then(|| "it says so".to_owned()),
        base: match text {
            "base" => Some(BaseLayer::Undescribed),
            "ours" => Some(BaseLayer::Described),
            _ => None,
        },
    };
    let mut image = ImageFacts {
        platform: String::new(),
        manifest: crate::oci::Digest::of(b""),
        created: None,
        config: RunFacts::default(),
        annotations: std::collections::BTreeMap::new(),
        layers: ["base", "ours", "own", "other"].map(layer).into(),
        size_bytes: 36,
        packages: Some(vec![package(&app, &[&libc]), package(&libc, &[])]),
    };
    let inventory = Inventory::of_image(&image);
    assert_eq!(
        (
            inventory.units.len(),
            inventory.roots.as_slice(),
            inventory.edges.len()
        ),
        (3, &[0][..], 3)
    );
    let kinds: Vec<UnitKind> = inventory.units.iter().map(|unit| unit.kind).collect();
    assert_eq!(kinds, [UnitKind::Set, UnitKind::Object, UnitKind::Vendored]);
    let places = |inventory: &Inventory| {
        inventory
            .undescribed
            .iter()
            .map(|one| one.place.clone())
            .collect::<Vec<_>>()
    };
    let expected = ["base", "other"].map(|text| layer(text).digest.to_string());
    assert_eq!(places(&inventory), expected);
    image.packages = None;
    assert_eq!(places(&Inventory::of_image(&image)).len(), 4);
    Ok(())
}

#[test]
fn what_is_recorded_goes_before_the_bill_and_the_bill_before_nothing() -> TestResult {
    let (app, libc) = (path('a', "app")?, path('b', "libc")?);
    let inputs = vec![input(LinkKind::Needed, Some(&libc), None, &[])];
    let whole = Gathered {
        parts: vec![part(&app, &[&libc], inputs), part(&libc, &[], Vec::new())],
        linked: Vec::new(),
    };
    let of_target = Inventory::of_closure(&whole, std::slice::from_ref(&app));
    let billed = || {
        let mut bill = of_target.clone();
        bill.is_bill = true;
        for unit in &mut bill.units {
            unit.declared = None;
            unit.recipe = None;
        }
        for edge in &mut bill.edges {
            edge.evidence = "the bill of materials".to_owned();
        }
        bill.edges.retain(|edge| edge.relation != Relation::Needed);
        bill
    };
    assert_eq!(billed().with_recorded(&whole), of_target);
    assert_eq!(billed().with_recorded(&Gathered::default()), billed());
    let half = Gathered {
        parts: whole.parts.iter().take(1).cloned().collect(),
        linked: Vec::new(),
    };
    let joined = billed().with_recorded(&half);
    let said: Vec<_> = joined
        .units
        .iter()
        .map(|unit| unit.declared.as_deref())
        .collect();
    assert_eq!(said, [Some("MIT"), None, Some("MIT OR Apache-2.0")]);
    assert!(joined.is_bill && joined.roots == [0]);
    assert_eq!(joined.edges.len(), of_target.edges.len());
    Ok(())
}
