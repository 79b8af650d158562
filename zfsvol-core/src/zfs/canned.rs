//! The channel programs of this library, by their text: a kernel without Lua carries them out all the same.

/// Answers, for each parent in turn, a table with the last components of the names one level below; `false` for one that has more than
/// `wide`. Stops after a parent once it has found `most` names.
///
/// What could be destroyed has nothing below it, and to check that costs the kernel a sixth of opening it. Where the check often says nothing, since
/// there are snapshots or what is mounted, it is left out.
pub(crate) const LIST_CHILDREN: &str = "\
local args = ...
local found, total = {}, 0
local checked, empty = 0, 0
local function is_empty(parent)
    if checked > 2 * empty + 4 then
        return false
    end
    checked = checked + 1
    if zfs.check.destroy(parent) ~= 0 then
        return false
    end
    empty = empty + 1
    return true
end
for _, parent in ipairs(args.parents) do
    local names, count = {}, 0
    if not is_empty(parent) then
        for name in zfs.list.children(parent) do
            count = count + 1
            if count > args.wide then
                names = false
                break
            end
            names[string.sub(name, string.len(parent) + 2)] = true
        end
    end
    found[parent] = names
    total = total + count
    if total >= args.most then
        break
    end
end
return found
";

/// Destroys what it can, again and again until nothing more goes: so a clone goes before the snapshot it hangs on, wherever in the tree the two
/// are. Returns what is left, with its errno. All of it happens in one transaction group.
pub(crate) const DESTROY_TREE: &str = r#"
local left = (...)["names"]
local failed
repeat
    local again, progress = {}, false
    failed = {}
    for _, name in ipairs(left) do
        local errno = zfs.sync.destroy(name)
        if errno == 0 or errno == 2 then
            progress = true
        else
            again[#again + 1] = name
            failed[name] = errno
        end
    end
    left = again
until #left == 0 or not progress
return failed
"#;
