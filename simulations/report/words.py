"""The words of a report in English and Chinese. `{name}` is filled in; a value may itself be in both languages, or markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from simulations.report.figures import Both
from simulations.report.terms import TERMS

OUTCOMES = {
    "allowed": Both("allowed", "允许"),
    "review": Both("review", "人工复核"),
    "denied": Both("denied", "拒绝"),
    "undetermined": Both("undetermined", "无法判定"),
    "error": Both("error", "出错"),
}
STATES = {
    "violated": Both("violated", "违反"),
    "satisfied": Both("satisfied", "满足"),
    "not applicable": Both("not applicable", "不适用"),
    "unknown": Both("unknown", "未知"),
    "applies": Both("applies", "适用"),
    "does not apply": Both("does not apply", "不适用"),
}
EFFECTS = {
    "deny": Both("denies", "拒绝"),
    "review": Both("asks for a review", "转人工复核"),
    "warn": Both("warns", "提示"),
    "undetermined": Both("leaves it open", "待定"),
    "transition": Both("transition", "状态流转"),
}
KINDS = {
    "parameter": Both("parameter", "参数"),
    "requirement": Both("rule", "规则"),
    "formula": Both("formula", "公式"),
    "output": Both("output", "输出"),
    "table": Both("decision table", "决策表"),
    "scale": Both("scale", "分档"),
    "fact": Both("fact", "事实"),
    "transition": Both("transition", "状态流转"),
    "effective": Both("dates", "生效日期"),
}
WORDS = {
    # the frame
    "language": Both("Language", "语言"),
    "contents": Both("Contents", "目录"),
    "simulation": Both("Simulation", "模拟报告"),
    "skip": Both("Skip to the report", "跳到正文"),
    "top": Both("Back to the top", "回到顶部"),
    # the headline
    "with-parameters": Both("With {changed}, ", "将 {changed} 后，"),
    "parameter-changed": Both("{name} {before} → {after}", "{name} 由 {before} 改为 {after}"),
    "with-version": Both("With {after} instead of {before}, ", "由{before} 改为{after} 后，"),
    "under-version": Both("Under {after}, compared with {before}, ", "按{after}，与{before} 相比，"),
    "some-change": Both("{n} of {total} get a different outcome.", "{total}中有 {n} 个的结论会改变。"),
    "one-change": Both("{n} of {total} gets a different outcome.", "{total}中有 {n} 个的结论会改变。"),
    "none-change": Both("none of {total} gets a different outcome.", "{total}的结论都不变。"),
    "amounts-change": Both("no outcome changes; {n} of {total} get another {name} ({change}).", "结论都不变；{total}中有 {n} 个的 {name} 有变动（{change}）。"),
    "amount-changes": Both(
        "no outcome changes; {n} of {total} gets another {name} ({change}).", "结论都不变；{total}中有 {n} 个的 {name} 有变动（{change}）。"
    ),
    "reasons-change": Both("no outcome changes in {total}; rules behind some of them do.", "{total}的结论都不变，但其中部分案例起作用的规则有变动。"),
    "no-cases": Both("no case could be decided.", "没有可供判定的案例。"),
    "one-case": Both("1 case", "1 个案例"),
    "cases": Both("{n} cases", "{n} 个案例"),
    "go": Both("{n} from {a} to {b}", "{n} 个由{a}变为{b}"),
    "and-others": Both("{n} in other ways", "另有 {n} 个为其他变化"),
    "money-line": Both("{name} in total: {before} → {after}, {change}.", "{name} 合计：{before} → {after}，{change}。"),
    "money-same": Both("{name} in total stays at {before}.", "{name} 合计不变，仍为 {before}。"),
    "more": Both("{amount} more", "增加 {amount}"),
    "less": Both("{amount} less", "减少 {amount}"),
    "with-percent": Both("{told} ({percent})", "{told}（{percent}）"),
    "in-sum-same": Both("no change in sum", "总额不变"),
    "more-for": Both("{amount} gained by {cases}", "{cases}增加 {amount}"),
    "less-for": Both("{amount} lost by {cases}", "{cases}减少 {amount}"),
    "tile-changed": Both("Outcomes that change", "结论改变"),
    "tile-allowed": Both("Allowed cases", "允许的案例"),
    "tile-money": Both("Change of {name}", "{name} 变动"),
    # sections
    "warnings": Both("Read this first", "阅读前请注意"),
    "changes": Both("What was changed", "改了什么"),
    "flips": Both("Which answers change", "哪些结论改变"),
    "money": Both("Money", "金额"),
    "segments": Both("Who is affected", "影响到谁"),
    "causes": Both("What causes the change", "变化从何而来"),
    "rules": Both("Rules behind the answers", "起作用的规则"),
    "open": Both("What stays open", "仍无法判定的部分"),
    "examples": Both("Examples", "典型案例"),
    "made": Both("How this was made", "本报告的来源"),
    # words of tables
    "before": Both("Before", "变更前"),
    "after": Both("After", "变更后"),
    "change": Both("Change", "变动"),
    "what": Both("What", "项目"),
    "outcome": Both("Outcome", "结论"),
    "rows": Both("Cases", "案例数"),
    "changed": Both("Answer changes", "结论改变"),
    "more-allowed": Both("Newly allowed", "新增允许"),
    "less-allowed": Both("No longer allowed", "不再允许"),
    "total": Both("Total", "合计"),
    "rule": Both("Rule", "规则"),
    "newly": Both("Newly violated", "新违反"),
    "no-longer": Both("No longer violated", "不再违反"),
    "violated-before": Both("Violated before", "变更前违反"),
    "violated-after": Both("Violated after", "变更后违反"),
    "case": Both("Case", "案例"),
    "partner": Both("Partner", "伙伴"),
    "answer": Both("Answer", "结论"),
    "fact": Both("Fact", "事实"),
    "value": Both("Value", "取值"),
    "reason": Both("Reason", "原因"),
    "column": Both("Column", "列"),
    "range": Both("Range", "区间"),
    "kind": Both("Kind", "类别"),
    "nothing": Both("none", "无"),
    "not-there": Both("not there", "不存在"),
    "no-value": Both("(no value)", "（无取值）"),
    "few": Both("few cases", "样本少"),
    "unknown": Both("unknown", "未知"),
    "unknown-of": Both("unknown: {names}", "未知：{names}"),
    # changes
    "changes-none": Both("The two sides have the same rules and the same parameters.", "两侧的规则与参数完全相同。"),
    "changes-note": Both("{n} separate changes; each is one cause below.", "共 {n} 处变更，下文逐一计算其影响。"),
    # flips
    "flow-caption": Both(
        "All cases: above by their answer before, below by their answer after. Strong bands are cases whose answer changes.",
        "全部案例：上方为变更前的结论，下方为变更后的结论。深色带为结论改变的案例。",
    ),
    "matrix-caption": Both(
        "From the answer before (rows) to the answer after (columns). The darker, the more cases; grey: the answer stays.",
        "行为变更前的结论，列为变更后的结论。颜色越深，案例越多；灰色表示结论不变。",
    ),
    "from-to": Both("before ↓ after →", "变更前 ↓ 变更后 →"),
    "outcome-caption": Both("Cases by answer", "各结论的案例数"),
    # money
    "money-paid": Both(
        "Cases that are {outcomes} count with their amount, others with 0. A case whose amount is not determined is in no sum.",
        "结论为{outcomes}的案例按金额计入，其他结论计 0；金额无法确定的案例不计入合计。",
    ),
    "money-caption": Both("{name} in total, in {unit}", "{name} 合计（{unit}）"),
    "more-sum": Both("Gained by {n}", "增加，{n}"),
    "less-sum": Both("Lost by {n}", "减少，{n}"),
    "determined": Both("Cases with a known amount", "金额可确定的案例"),
    "change-caption": Both(
        "How much {name} changes, among the cases where it does. Left of the line: less. Right: more. Height: cases.",
        "{name} 的变动幅度（仅含有变动的案例）。线左为减少，线右为增加；高度为案例数。",
    ),
    "level-caption": Both(
        "How {name} is spread over the cases: filled before, outlined after.",
        "{name} 的分布：实心为变更前，描边为变更后。",
    ),
    "uneven": Both("The steps of the axis are of unequal width.", "横轴各档宽度不等。"),
    "as-table": Both("The same as a table", "以表格显示"),
    "gainers": Both("Who gains most", "增加最多"),
    "losers": Both("Who loses most", "减少最多"),
    "gainers-none": Both("No case gains.", "没有案例的金额增加。"),
    "losers-none": Both("No case loses.", "没有案例的金额减少。"),
    # segments
    "segments-none": Both("The population has no columns to group by.", "样本没有可供分组的列。"),
    "by": Both("By {name}", "按 {name}"),
    "segment-money": Both("Change of {name} by {by}; bars to the left are less, to the right more.", "按 {by} 看 {name} 的变动；向左为减少，向右为增加。"),
    "segment-count": Both(
        "Allowed cases by {by}: bars to the left are no longer allowed, to the right newly allowed.", "按 {by} 看允许的案例：向左为不再允许，向右为新增允许。"
    ),
    "more-groups": Both("{n} more groups together", "其余 {n} 组合计"),
    "groups-left-out": Both("{n} more groups are in the data only.", "另有 {n} 组仅列于数据文件。"),
    # causes
    "causes-none": Both("Nothing was changed, so there is nothing to explain.", "没有变更，无需归因。"),
    "causes-shapley": Both(
        "Each cause is given the mean of what it adds over all orders in which the changes could be made, so the parts add up to the whole exactly.",
        "每项变更的影响，取所有先后次序下其新增影响的平均值，因此各项之和恰好等于总变动。",
    ),
    "causes-sequence": Both(
        "The changes were made one after the other in the order below; each is given what it added. The parts add up to the whole exactly.",
        "按下列次序逐项变更，每项计其新增的影响；各项之和恰好等于总变动。",
    ),
    "causes-money": Both("{name}, in {unit}: from the total before to the total after", "{name}（{unit}）：从变更前合计到变更后合计"),
    "causes-count": Both("Cases that are {outcome}: from the number before to the number after", "结论为{outcome}的案例数：从变更前到变更后"),
    "sum-of-causes": Both("All causes together", "各项合计"),
    "cause": Both("Cause", "原因项"),
    # rules
    "rules-caption": Both("Rules that are violated in other cases than before", "违反情况有变化的规则"),
    "rules-none": Both("No rule is violated in other cases than before.", "所有规则的违反情况均无变化。"),
    "rules-same": Both("{n} rules without a change", "{n} 条规则没有变化"),
    # open
    "undetermined-line": Both("Cases that could not be decided: {before} before, {after} after.", "无法判定的案例：变更前 {before} 个，变更后 {after} 个。"),
    "missing-caption": Both("Facts that these cases wait for", "这些案例缺少的事实"),
    "missing-none": Both("No case waits for a fact.", "没有案例因缺少事实而无法判定。"),
    "missing-sampled": Both("Counted in a sample of {n} undetermined cases, not in all.", "仅对 {n} 个无法判定的案例抽样统计。"),
    "unknown-caption": Both("Rules whose state is unknown, in cases", "状态未知的规则（案例数）"),
    "errors-caption": Both("Cases that end in an error", "出错的案例"),
    # examples
    "examples-lead": Both("Single cases that change, with everything that led to both answers.", "有变化的单个案例，列出两侧结论的全部依据。"),
    "examples-none": Both("No case changes, so there is no example.", "没有变化的案例。"),
    "example": Both("Example {n}", "案例 {n}"),
    "asked-for": Both("asked as of {date}", "判定时点 {date}"),
    "back-to-list": Both("Back to the list of examples", "回到案例列表"),
    "both-answers": Both("Both answers", "两侧结论"),
    "no-reasons": Both("No rule objects.", "没有规则提出异议。"),
    "missing": Both("Missing facts", "缺少的事实"),
    "outputs": Both("Outputs", "输出"),
    "decisive-facts": Both("Facts behind the change", "与变化有关的事实"),
    "other-facts": Both("All other facts", "其余事实"),
    "trace": Both("Both traces", "两侧判定过程"),
    "trace-lead": Both("What differs is marked with ≠. Rules that are violated or unknown stand here too.", "≠ 表示两侧不同；违反或未知的规则也列于此。"),
    "trace-rest": Both("The rest of the traces: {rules} more rules, {values} values", "其余判定过程：{rules} 条规则，{values} 个计算值"),
    "trace-none": Both("This answer came without a trace.", "该结论没有判定过程。"),
    "parameter": Both("Parameter", "参数"),
    "all-parameters": Both("All {n} parameters", "全部 {n} 个参数"),
    "all-measures": Both("All amounts, in total", "全部金额合计"),
    "amount": Both("Amount", "金额"),
    "more-of": Both("More about {name}", "{name} 详情"),
    "only-one-side": Both("Amounts known on one side only", "仅一侧可确定的金额"),
    "differs": Both("differs", "不同"),
    "items": Both("{n} items", "{n} 项"),
    "more-lines": Both("{n} more lines", "另有 {n} 行"),
    "more-items": Both("{n} more", "另有 {n} 项"),
    # how it was made
    "policy": Both("Policy", "政策"),
    "question": Both("Question", "问题"),
    "baseline": Both("Before", "变更前"),
    "candidate": Both("After", "变更后"),
    "population": Both("Population", "样本"),
    "rows-read": Both("Rows read", "读入行数"),
    "rows-used": Both("Rows used", "使用行数"),
    "rows-aside": Both("Rows set aside", "搁置行数"),
    "as-of": Both("Decided as of", "判定时点"),
    "as-of-own": Both("each case on its own date", "各案例按自身日期"),
    "seed": Both("Seed", "随机种子"),
    "seed-none": Both("none: the population is given, not drawn", "无：样本为给定数据"),
    "product": Both("Made with", "软件版本"),
    "aside-caption": Both("Rows set aside, and why", "搁置的行及原因"),
    "repeat": Both("To repeat it", "如何重复"),
    "repeat-command": Both("Run this again; every file comes out with the same bytes.", "再次运行以下命令，所得文件逐字节相同。"),
    "repeat-lead": Both(
        "Run the same simulation again with the two versions, the population and the seed above. The digests show whether they are the same; if they are, "
        "every file comes out with the same bytes. manifest.json beside this report lists them.",
        "使用上述两个版本、样本和随机种子再次模拟即可。摘要值可核对输入是否一致；输入一致时，所有文件逐字节相同。清单见本报告旁的 manifest.json。",
    ),
    "exact": Both(
        "All amounts are exact decimals, never rounded; only the labels of axes and large numbers at the top are shortened.",
        "所有金额均为精确小数，未经舍入；仅坐标轴标签与顶部的大数字为简写。",
    ),
    "no-network": Both(
        "This page is one file. It loads nothing from elsewhere and sends nothing anywhere.", "本页为单个文件，不加载任何外部内容，也不发送任何数据。"
    ),
    **TERMS,
}


def spans(text: Both | str) -> Markup:
    """Both languages, of which the style sheet shows one; once, if they are equal."""
    if isinstance(text, str):
        return escape(text)
    if text.en == text.zh:
        return escape(text.en)
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(*text)


def filled(text: Both, **values: Any) -> Both:
    """The placeholders filled in, in each language with its own values; text is escaped, markup is kept."""
    return Both(*(Markup(escape(text[i])).format(**{k: v[i] if isinstance(v, Both) else v for k, v in values.items()}) for i in (0, 1)))


def say(key: str, **values: Any) -> Both:
    return filled(WORDS[key], **values) if values else WORDS[key]


def cases(number: int) -> Both:
    return say("one-case") if number == 1 else say("cases", n=f"{number:,}")


def listed(parts: Sequence[Both]) -> Both:
    """Parts of a sentence as one."""
    return Both(Markup("{}.").format(Markup(", ").join(p.en for p in parts)), Markup("{}。").format(Markup("，").join(p.zh for p in parts)))


def named(names: Mapping[str, Both], key: str) -> Both:
    """The words for a value of the summary; the value itself where there are none."""
    return names.get(key, Both(key, key))


def texts(told: Mapping[str, Any]) -> Both:
    """A text of the summary that stands in both languages."""
    return Both(str(told["en"]), str(told["zh"]))


def code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(text)


def absent(value: Any) -> Both:
    """A side of a change; None: that side does not have it."""
    return WORDS["not-there"] if value is None else Both(str(value), str(value))


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
