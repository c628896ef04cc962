"""The texts that the estimate of tokens is held against: made by rule, the same ones on every run.

`samples.json` holds their true numbers in o200k_base. The test in tests/clients counts them again with a real
tokenizer; the test beside this file needs no network.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

from functions.gateway.json_text import Json, text

SAMPLES = Path(__file__).parent / "samples.json"

PROSE = {
    "English": "The customer prefers to be called in the morning, is allergic to nuts, and moved to Lisbon in March.",
    "German": "Die Kundin bevorzugt Anrufe am Vormittag, verträgt keine Nüsse und ist im März nach Lissabon gezogen.",
    "French": "La cliente préfère être appelée le matin, est allergique aux noix et a déménagé à Lisbonne en mars.",
    "Spanish": "La clienta prefiere que la llamen por la mañana, es alérgica al cacahuete y se mudó a Lisboa en marzo.",
    "Portuguese": "A cliente prefere receber chamadas de manhã, é alérgica a nozes e mudou-se para Lisboa em março.",
    "Italian": "La cliente preferisce essere chiamata al mattino, è allergica alle noci e si è trasferita a Lisbona.",
    "Dutch": "De klant wordt liefst 's ochtends gebeld, is allergisch voor noten en verhuisde in maart naar Lissabon.",
    "Swedish": "Kunden vill bli uppringd på morgonen, är allergisk mot nötter och flyttade till Lissabon i mars.",
    "Finnish": "Asiakas haluaa puhelun aamulla, on allerginen pähkinöille ja muutti maaliskuussa Lissaboniin.",
    "Polish": "Klientka woli rozmawiać rano, ma alergię na orzeszki ziemne i w marcu przeprowadziła się do Lizbony.",
    "Czech": "Zákaznice dává přednost hovorům ráno, je alergická na arašídy a v březnu se přestěhovala do Lisabonu.",
    "Turkish": "Müşteri sabahları aranmayı tercih ediyor, yer fıstığına alerjisi var ve martta Lizbon'a taşındı.",
    "Hungarian": "Az ügyfél reggel szereti, ha hívják, allergiás a dióra, és márciusban Lisszabonba költözött.",
    "Indonesian": "Pelanggan lebih suka ditelepon pagi hari, alergi kacang dan pindah ke Lisbon pada bulan Maret.",
    "Vietnamese": "Khách hàng thích được gọi vào buổi sáng, bị dị ứng với đậu phộng và chuyển đến Lisbon vào tháng ba.",
    "Russian": "Клиентка предпочитает звонки утром, у неё аллергия на арахис, а в марте она переехала в Лиссабон.",
    "Ukrainian": "Клієнтка воліє дзвінки вранці, має алергію на арахіс, а в березні переїхала до Лісабона.",
    "Greek": "Η πελάτισσα προτιμά να της τηλεφωνούν το πρωί, είναι αλλεργική στα φιστίκια και μετακόμισε στη Λισαβόνα.",
    "Hebrew": "הלקוחה מעדיפה שיתקשרו אליה בבוקר, אלרגית לבוטנים ועברה לליסבון במרץ.",
    "Arabic": "تفضل العميلة الاتصال بها في الصباح، ولديها حساسية من الفول السوداني، وانتقلت إلى لشبونة في مارس.",
    "Hindi": "ग्राहक सुबह फ़ोन पसंद करती है, उसे मूंगफली से एलर्जी है और वह मार्च में लिस्बन चली गई।",
    "Thai": "ลูกค้าชอบให้โทรหาในตอนเช้า แพ้ถั่วลิสง และย้ายไปลิสบอนเมื่อเดือนมีนาคม",
    "Japanese": "お客様は午前中の電話を希望し、ピーナッツアレルギーがあり、三月にリスボンへ引っ越しました。",
    "Korean": "고객은 아침에 전화받는 것을 선호하고, 땅콩 알레르기가 있으며, 3월에 리스본으로 이사했습니다.",
    "Chinese": "客户更喜欢在早上接电话,对花生过敏,三月份搬到了里斯本。",
}
"""One fact about a customer in 25 languages."""

CODE = (
    "def within(value: int, least: int = 0) -> bool:\n    return least <= value < LIMIT  # half open\n",
    'const found = rows.filter((row) => row.id !== undefined && row["name"].startsWith("usr_"));\n',
    "SELECT o.id, SUM(l.price_cents) AS total FROM orders o JOIN lines l ON l.order_id = o.id GROUP BY 1;\n",
    "https://api.example.com/v3/memories/?page=2&page_size=100&filters%5Buser_id%5D=usr_98765#results\n",
    "| name | type | default |\n|---|---|---|\n| `top_k` | integer | 10 |\n\n## Part\n\n* **bold** and _slanted_ …\n",
)
"""What a long text of an answer may be made of."""

_ALPHABETS = {
    "lower-case letters": string.ascii_lowercase,
    "letters": string.ascii_letters,
    "letters and digits": string.ascii_letters + string.digits,
    "digits": string.digits,
    "hex digits": string.hexdigits[:16],
}


def texts() -> Iterator[tuple[str, str]]:
    """Each text, after the kind of it."""
    rnd = Random(20)
    for language, sentence in PROSE.items():
        yield f"prose, {language}", sentence
        yield f"result, {language}", text({"result": [_memory(rnd, sentence)], "next_cursor": None, "result_count": 1})
    for number, source in enumerate(CODE):
        yield f"code {number}", source
        yield f"code {number} in a result", text({"result": {"path": "README.md", "content": source}})
    for count in (1, 2, 5, 20):
        objects = [_memory(rnd, rnd.choice(list(PROSE.values())[:9])) for _ in range(count)]
        yield f"list of {count}", text({"result": objects, "next_cursor": "2.20.0", "result_count": count})
        events = [_event(rnd) for _ in range(count)]
        yield f"events, {count}", text({"result": events, "next_cursor": None, "result_count": count})
    for kind, alphabet in _ALPHABETS.items():
        for length in (24, 36, 64, 400):
            ids = ["".join(rnd.choice(alphabet) for _ in range(length)) for _ in range(4)]
            yield f"{length} {kind}", text({"result": [{"id": entry} for entry in ids]})
    for length in (16, 64, 600):
        yield f"{length} bytes in Base64", text({"content": base64.b64encode(rnd.randbytes(length)).decode()})
    for count in (3, 30):
        yield f"{count} UUIDs", text([_uuid(rnd) for _ in range(count)])
        yield f"{count} times", text([_time(rnd) for _ in range(count)])
        yield f"{count} scores", text([round(rnd.random(), rnd.choice((2, 6, 17))) for _ in range(count)])
    yield "nothing", text({"result": [], "next_cursor": None, "result_count": 0})
    yield "null, true and false", text([{"a": None, "b": True, "c": False, "d": {}, "e": []}] * 9)
    yield "signs", text("".join(rnd.choice(string.punctuation) for _ in range(300)))
    yield "emoji", text("Great job 🎉🚀 see you 😀 👍🏽 ❤️ 🇩🇪 ✅ → …")


def _memory(rnd: Random, sentence: str) -> Json:
    return {
        "id": _uuid(rnd),
        "memory": sentence,
        "user_id": f"usr_{rnd.randrange(100_000):05}",
        "agent_id": None,
        "run_id": rnd.choice([None, f"session-2026-08-{rnd.randrange(1, 29):02}"]),
        "metadata": rnd.choice([None, {"source": "chat", "topic": "travel", "ticket": rnd.randrange(10_000)}]),
        "categories": rnd.sample(["food", "health", "travel", "personal_details"], 2),
        "score": round(rnd.random(), 16),
        "created_at": _time(rnd),
        "updated_at": _time(rnd),
        "expiration_date": None,
    }


def _event(rnd: Random) -> Json:
    return {
        "id": _uuid(rnd),
        "event_type": rnd.choice(["ADD", "SEARCH", "DELETE_ALL"]),
        "status": rnd.choice(["PENDING", "RUNNING", "SUCCEEDED", "FAILED"]),
        "payload": {"messages": [{"role": "user", "content": PROSE["English"]}], "user_id": "usr_98765", "infer": True},
        "results": [{"id": _uuid(rnd), "event": "ADD", "data": {"memory": PROSE["English"]}}],
        "latency": round(rnd.random() * 1000, 3),
        "created_at": _time(rnd),
    }


def _uuid(rnd: Random) -> str:
    return str(UUID(int=rnd.getrandbits(128), version=4))


def _time(rnd: Random) -> str:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=rnd.randrange(10**13))
    return rnd.choice([moment.isoformat(), moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.strftime("%Y-%m-%d")])
