"""The few words that are Streamlit's own, such as those of its menu and of fields for files and days, in the visitor's
language: Streamlit knows English alone.

A script in the browser puts them in place wherever Streamlit shows them, and nowhere else: what people typed stays.
"""

from __future__ import annotations

import json

from rowcast.entrypoints.dashboard.texts import Texts, catalogue

SUBJECT = "streamlit."
ENGLISH = "en"

_PLACES = (
    '[data-testid="stMainMenuPopover"],[data-testid="stFileUploader"],[data-testid="stDateInput"],'
    '[data-testid="stDateInputCalendar"],[data-testid="stElementToolbar"],[data-testid="stTooltipContent"],'
    '[data-testid="InputInstructions"],[data-testid="stSelectboxVirtualDropdown"],[data-testid="stStatusWidget"],'
    '[data-testid="stDialog"],[data-testid="stExpandSidebarButton"],[data-testid="stSidebarCollapseButton"],'
    '[data-testid="stTooltipIcon"],[data-testid="stHeading"],[data-testid="stSidebarHeader"],[data-testid="stSkipToContent"]'
)

_CONTROLS = (
    '[data-testid="stSidebar"],[data-testid="stMainMenuButton"],[data-testid="stSelectbox"],[data-testid="stMultiSelect"],'
    '[data-testid="stNumberInput"],[data-testid="stTextInput"],[data-testid="stTextInputRootElement"]'
)
"""Where what controls are called is put in place, and no text: that is what people typed or chose."""

# Text is changed in place: Streamlit goes on to change the same nodes itself.
_SCRIPT = """(()=>{
if(window.rowcastWords)return;window.rowcastWords=true;document.documentElement.lang=%(language)s;
const words=new Map(%(words)s),places=%(places)s,controls=%(controls)s,marks=['aria-label','title','placeholder','alt'];
const size=/^([\\d.]+) ?([KMG]?)B( per file)?/,units=%(units)s,each=words.get('per file');
const said=text=>words.get(text.trim())??text.replace(size,(all,count,unit,file)=>
`${count.replace('.',',')} ${units[unit]}${file?' '+each:''}`);
const help='Help for ',name=(node,mark)=>{const text=node.getAttribute(mark)??'';
const part=words.get(text.split(', ')[0]);
const told=text.startsWith(help)?`${words.get(help.trim())} ${text.slice(help.length)}`:
words.get(text)??(part&&text.replace(/^[^,]+/,part));
if(told)node.setAttribute(mark,told)};
const put=node=>{
if(node.nodeType===3){const told=said(node.nodeValue);if(told!==node.nodeValue)node.nodeValue=told}
if(node.nodeType===1){marks.forEach(mark=>name(node,mark));node.childNodes.forEach(put)}};
const call=node=>[node,...node.querySelectorAll('*')].forEach(each=>marks.forEach(mark=>name(each,mark)));
const look=node=>{const part=node.nodeType===1?node:node.parentElement;if(!part)return;
if(part.closest(places))put(node);else if(node.nodeType===1)part.querySelectorAll(places).forEach(put);
if(node.nodeType!==1)return;
if(part.closest(controls))call(node);else part.querySelectorAll(controls).forEach(call)};
new MutationObserver(changes=>changes.forEach(change=>
change.type==='childList'?change.addedNodes.forEach(look):look(change.target)))
.observe(document.body,{childList:true,subtree:true,characterData:true,attributes:true,attributeFilter:marks});
look(document.body)})()"""


def renaming(language: str) -> str:
    """The script; the same for everyone of that language."""
    t = Texts(language)
    english = {key.removeprefix(SUBJECT): text for key, text in catalogue(ENGLISH).items() if key.startswith(SUBJECT)}
    words = {text: t(f"streamlit.{key}") for key, text in english.items()}
    units = {short: words[f"{short}B"] for short in ("", "K", "M", "G")}
    values: dict[str, object] = {"language": language, "words": [*words.items()], "units": units}
    values |= {"places": _PLACES, "controls": _CONTROLS}
    return _SCRIPT % {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
