//! A stream that must be read for ever as it is here.
//!
//! Written from the format's description by another program, with the `zstd` and `b3sum` of a distribution. The object and what is signed of it are those of `cache_golden.rs`.

use store::{
    ResolvedDigest, Watch,
    export::{Believe, import},
    testing::{TEST_TIME, TempStore, find_faults},
    trust::{Policy, PolicyRules, TrustedKey},
};

type TestResult = Result<(), Box<dyn std::error::Error>>;

const PATH: &str = "fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng-example-1";
const KEY: &str = "example-1:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
const STREAM: &str = "5054484558503031bc02000028b52ffd603d03951500862b9942206baa0e000c440a03040c0810647eb294008641000ca9b4ffff64d1961835641391444aad688eeb5ffa97fed7ffa5ffc924a2bb64abd6c98177c503c003d60fb4037c0084008900a0086a4ee07f8ff66ebef5dd8675c765da76f9aa9ec65cbe6af6362dc39ae7e14e4738ac0bb1c63297e1edca1bd6f8deab65fa668dc35df76539c392f7bf0ff75b5f1f32598e2c2a3f88dcacb5e35ec6d57d3275a1e866a4581992b6b12489295d92a688d2b254fff7236acbb7eaf7bcefd3cca6d7a8aa474455558e1c8549ac5cb494d4e4d240db68d9e23e71301844933b988acd225228ad029e389b4a37b67ff501c32ca1968bfb0c6d7c7debfffb3cb2fc35be4779e6bd1c751c76fe5686a66e28a7fb7c2b9fa4d5df873499cfb718607c7f66ccb399754e9000d49c0b6e0a92a0dccc555ad00b066e8b509f9964c91c8b9858322cae8bcb04ddd86d24092194dca5fbd6936409d56fc8ed89b3e8a2a55e2ad1527feb6b3691fdcce66b6054956382808d8c8b1d63117deee564423504262155f3b9e708723ad204bcc03259e2e120904743ead27102c5926b9365b0de29379f0b062461d3cdd557a5bb1045c20ac901396659cd09c5c59e104c8232e14daef654d4c503b125bc1b9194a22beb9d0bab80a49e8902f6b8c7eac1c947008fc38508a2870e1a363c0c09060e9c0a60a0e07040e02b6cc8905a8070a0c1830115803d3e1e55553920202a3a55552960c001713a722ebe746da3d13cccd61695443ca894826a0a0c86ea197d61f13e1aa563514152326537a98cc65299ea14668211cfa7f70ccfce743a1b68831c084630e964238cbaaead7e7f8e42bc6fd49aa5f0adababdfa3361c00b8d176a1165ce6eab236ce2d4eb16ef20929ce8d400096c8dce140ac4c9c641808032818e28e0aaf31606db30cd5174958076a24460b3180e5588b974aad054799236c0bc88d55003400000000a732192d9788a00193350e65f6991262e75731607c848a7f8d059d1627cca8e7";

#[test]
fn the_stream_of_the_worked_example_is_read() -> TestResult {
    let stream: Vec<u8> = (0..STREAM.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&STREAM[at..at + 2], 16))
        .collect::<Result<_, _>>()?;
    let policy = Policy::new(PolicyRules {
        keys: vec![TrustedKey {
            key: KEY.parse()?,
            until: None,
        }],
        ..PolicyRules::default()
    });
    let believe = Believe::Signed {
        policy: &policy,
        now: TEST_TIME,
    };
    let store = TempStore::new();
    let lease = store.lease()?;
    let imported = import(&store, &mut &stream[..], believe, &lease, &Watch::nobody())?;
    drop(lease);
    assert_eq!(imported.roots, [PATH.parse()?]);
    assert_eq!(imported.objects, imported.roots);
    assert!(imported.without_component.is_empty());
    assert_eq!(imported.unbelieved_realisations, 0);
    let info = store.path_info(&PATH.parse()?)?.ok_or("it is valid")?;
    assert_eq!(info.component.ok_or("it is signed")?.name, "example");
    let file = store.real_path(&info.path).join("hi");
    assert_eq!(std::fs::read_to_string(file)?, "hi\n");
    let resolved = ResolvedDigest::from_bytes([0x11; 32]);
    assert_eq!(store.find_realisations(&resolved)?.len(), 1);
    assert_eq!(find_faults(&store), [""; 0]);
    Ok(())
}
