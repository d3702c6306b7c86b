//! `platform`: what packages are built for.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::structs::AllocStruct;

use crate::lang::context::FileContext;

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// The platform that packages are for: `struct(system = "x86_64-linux", os = "linux", arch = "amd64")`.
    fn platform<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let platform = FileContext::of(eval)?.session.platform;
        let fields = [
            ("system", platform.system()),
            ("os", platform.os()),
            ("arch", platform.arch()),
        ];
        Ok(eval.heap().alloc(AllocStruct(fields)))
    }
}
