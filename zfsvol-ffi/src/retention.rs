//! Which snapshots a policy keeps, without a kernel.

use zfsvol_core::nvlist::{NvList, Value, from_nvlist};
use zfsvol_core::volume::Retention;
use zfsvol_core::volume::retention::{Candidate, Need, Plan};

use crate::error::{Fault, zfsvol_error};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;

const OPERATION: &str = "plan which snapshots to keep";

/// What a policy makes of snapshots, wherever they are: nothing is asked, nothing destroyed. `policy` is that of `zfsvol_volume_retain`. `snapshots` has an nvlist for each, from oldest to newest, by what it is
/// called: `created` (int64) and, where something needs it whatever the policy says, `holds` (string array: tags), `clones` (string array: datasets), `pushes` (string array: the nodes whose next push begins from it), `foreign` (boolean: taken by somebody else).
/// `plan`: as `retained` of `zfsvol_volume_retain`.
///
/// Fails with `INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_retention_plan(
    policy: *const zfsvol_nvlist,
    snapshots: *const zfsvol_nvlist,
    plan: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(plan)?;
        let policy: Retention = from_nvlist(caller.get(policy)?)?;
        let snapshots: Result<Vec<_>, Fault> =
            caller.get(snapshots)?.iter().map(|(name, value)| candidate(name, value)).collect();
        out.give(told(&Plan::new(&policy, &snapshots?)));
    })
}

fn candidate(name: &str, value: &Value) -> Result<Candidate<String>, Fault> {
    let wrong = |what: String| Fault::invalid(OPERATION, what).with_target(name);
    let Value::NvList(said) = value else {
        return Err(wrong("what is said of it is no nvlist".to_owned()));
    };
    let created =
        said.get_i64("created").ok_or_else(|| wrong("it has no 'created' (int64)".to_owned()))?;
    let texts = |key: &str, need: fn(String) -> Need| -> Result<Vec<Need>, Fault> {
        match (said.contains(key), said.get_strs(key)) {
            (false, _) => Ok(Vec::new()),
            (true, Some(texts)) => {
                Ok(texts.iter().map(|text| need(text.to_string_lossy().into_owned())).collect())
            }
            (true, None) => Err(wrong(format!("its '{key}' is no string array"))),
        }
    };
    let mut needs = texts("holds", Need::Hold)?;
    needs.extend(texts("clones", Need::Clone)?);
    needs.extend(texts("pushes", Need::Push)?);
    needs.extend(said.get_bool("foreign").unwrap_or_default().then_some(Need::Foreign));
    Ok(Candidate { snapshot: name.to_owned(), created, needs })
}

fn told(plan: &Plan<'_, String>) -> NvList {
    let mut kept = NvList::new();
    for (one, why) in plan.kept() {
        kept.insert(&one.snapshot, why.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    let destroyed: Vec<String> = plan.destroyed().map(|one| one.snapshot.clone()).collect();
    let mut list = NvList::new();
    list.insert("kept", kept).insert("destroyed", destroyed);
    list
}
