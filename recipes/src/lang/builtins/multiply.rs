//! What `*` becomes: a product with a bound, since `"a" * 1000000000` is one step and takes a gigabyte.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::{UnpackValue, Value};

use crate::lang::error::{LangError, Limit, Problem};
use crate::lang::explain::MULTIPLY;

/// The longest string, list or tuple that a product may be.
const MAX_PRODUCT: usize = 1 << 20;

/// Adds the function under a name that no recipe can write.
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    let functions = GlobalsBuilder::new().with(register_multiply).build();
    builder.frozen_heap().add_reference(functions.heap());
    for (_, function) in functions.iter() {
        builder.set(MULTIPLY, function);
    }
}

#[starlark_module]
fn register_multiply(builder: &mut GlobalsBuilder) {
    fn multiply<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let times = |value: Value<'v>| {
            i32::unpack_value(value)
                .ok()
                .flatten()
                .and_then(|n| usize::try_from(n).ok())
        };
        let length = |value: Value<'v>| value.length().ok().and_then(|n| usize::try_from(n).ok());
        let product = match (length(left), times(left), length(right), times(right)) {
            (Some(length), _, _, Some(times)) | (_, Some(times), Some(length), _) => {
                length.saturating_mul(times)
            }
            _ => 0,
        };
        if product > MAX_PRODUCT {
            return Err(LangError::new(Problem::Limit(Limit::Product(MAX_PRODUCT))).into());
        }
        left.mul(right, eval.heap())
    }
}
