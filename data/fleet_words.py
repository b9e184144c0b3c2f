"""The words of the simulated instructions: operations and topics in nine languages, constraints.

Order matters: the same index is the same operation or topic in every language, so that one table
of hardness serves all. Vocabulary and sentences are the project's own.
"""

from __future__ import annotations

LANGUAGES = ("en", "de", "es", "fr", "ru", "zh", "ja", "ar", "hi")
LANGUAGE_SHARES = (0.70, 0.06, 0.05, 0.04, 0.04, 0.04, 0.03, 0.02, 0.02)
SCARCE = (0.0, 0.2, 0.2, 0.2, 0.5, 0.6, 0.7, 0.9, 1.0)  # how thinly small models know the language

TEMPLATES = {
    "en": "{op} {topic} of the {team} team.",
    "de": "{op} {topic} für das Team {team}.",
    "es": "{op} {topic} del equipo {team}.",
    "fr": "{op} {topic} de l'équipe {team}.",
    "ru": "{op} {topic} для команды {team}.",
    "zh": "请 {op} {topic} , 团队: {team}。",
    "ja": "{team} チームの {topic} を {op} してください。",
    "ar": "{op} {topic} لفريق {team}.",
    "hi": "{team} टीम के लिए {topic} {op} ।",
}

# list extract convert classify count summarize translate compare verify rewrite schedule explain
# diagnose reconcile design negotiate
OPERATIONS = {
    "en": "List|Extract|Convert|Classify|Count|Summarize|Translate|Compare|Verify|Rewrite|"
    "Schedule|Explain|Diagnose|Reconcile|Redesign|Negotiate",
    "de": "Liste|Extrahiere|Konvertiere|Klassifiziere|Zähle|Resümiere|Übersetze|Vergleiche|"
    "Prüfe|Überarbeite|Plane|Erkläre|Diagnostiziere|Verrechne|Entwirf|Verhandle",
    "es": "Enumera|Extrae|Convierte|Clasifica|Cuenta|Resume|Traduce|Compara|Verifica|"
    "Reescribe|Programa|Explica|Diagnostica|Concilia|Rediseña|Negocia",
    "fr": "Énumère|Extrais|Convertis|Classe|Compte|Résume|Traduis|Compare|Vérifie|Réécris|"
    "Planifie|Explique|Diagnostique|Rapproche|Repense|Négocie",
    "ru": "Перечисли|Извлеки|Преобразуй|Классифицируй|Посчитай|Обобщи|Переведи|Сравни|"
    "Проверь|Перепиши|Запланируй|Объясни|Диагностируй|Сверь|Перепроектируй|Согласуй",
    "zh": "列出|提取|转换|分类|统计|总结|翻译|比较|核实|改写|安排|解释|诊断|对账|重新设计|协商",
    "ja": "一覧に|抽出|変換|分類|集計|要約|翻訳|比較|検証|書き直し|予定に|説明|診断|照合|"
    "再設計|交渉",
    "ar": "اسرد|استخرج|حوّل|صنّف|عُدّ|لخّص|ترجم|قارن|تحقق|أعد|جدول|اشرح|شخّص|طابق|صمّم|فاوض",
    "hi": "सूची|निकालें|बदलें|वर्गीकृत|गिनें|सारांश|अनुवाद|तुलना|जाँचें|दोबारा|निर्धारित|"
    "समझाएँ|निदान|मिलान|पुनर्रचना|मोलभाव",
}

TOPICS = {
    "en": "the invoices|the contracts|the tickets|the test results|the log files|"
    "the customer emails|the delivery notes|the meeting notes|the source files|"
    "the database tables|the access rights|the price lists|the medical reports|"
    "the flight bookings|the tax forms|the sensor readings|the job applications|"
    "the user reviews|the purchase orders|the error messages|the deployment scripts|"
    "the security alerts|the research papers|the insurance claims",
    "de": "die Rechnungen|die Verträge|die Tickets|die Testergebnisse|die Protokolldateien|"
    "die Kundenmails|die Lieferscheine|die Sitzungsnotizen|die Quelldateien|"
    "die Datenbanktabellen|die Zugriffsrechte|die Preislisten|die Arztberichte|"
    "die Flugbuchungen|die Steuerformulare|die Messwerte|die Bewerbungen|"
    "die Rezensionen|die Bestellungen|die Fehlermeldungen|die Rolloutskripte|"
    "die Sicherheitswarnungen|die Fachartikel|die Schadensmeldungen",
    "es": "las facturas|los contratos|las incidencias|los resultados|los registros|"
    "los correos|los albaranes|las actas|los fuentes|las tablas|los permisos|"
    "las tarifas|los informes|las reservas|los impuestos|las lecturas|"
    "las candidaturas|las reseñas|los pedidos|los errores|los despliegues|"
    "las alertas|los artículos|los siniestros",
    "fr": "les factures|les contrats|les tickets|les essais|les journaux|les courriels|"
    "les livraisons|les comptes-rendus|les sources|les tables|les droits|les tarifs|"
    "les rapports|les réservations|les impôts|les mesures|les candidatures|les avis|"
    "les commandes|les erreurs|les déploiements|les alertes|les articles|"
    "les sinistres",
    "ru": "счета|договоры|заявки|тесты|журналы|письма|накладные|протоколы|исходники|"
    "таблицы|права|прайсы|заключения|брони|декларации|показания|резюме|отзывы|заказы|"
    "ошибки|скрипты|тревоги|статьи|убытки",
    "zh": "发票|合同|工单|测试结果|日志|客户邮件|送货单|会议记录|源文件|数据表|访问权限|"
    "价目表|病历|航班预订|税表|传感器读数|求职申请|用户评价|采购单|错误信息|部署脚本|"
    "安全警报|论文|理赔",
    "ja": "請求書|契約書|チケット|試験結果|ログ|顧客メール|納品書|議事録|ソース|テーブル|"
    "権限|価格表|診断書|予約|税務書類|測定値|応募書類|レビュー|発注書|エラー|"
    "デプロイ|警告|論文|保険請求",
    "ar": "الفواتير|العقود|التذاكر|النتائج|السجلات|الرسائل|التسليمات|المحاضر|المصادر|"
    "الجداول|الصلاحيات|الأسعار|التقارير|الحجوزات|الضرائب|القراءات|الطلبات|المراجعات|"
    "المشتريات|الأخطاء|النصوص|التنبيهات|الأبحاث|المطالبات",
    "hi": "चालान|अनुबंध|टिकट|परिणाम|लॉग|ईमेल|सुपुर्दगी|बैठक|स्रोत|तालिका|अधिकार|मूल्यसूची|"
    "रिपोर्ट|बुकिंग|कर|माप|आवेदन|समीक्षा|आदेश|त्रुटि|स्क्रिप्ट|चेतावनी|शोधपत्र|दावा",
}

N_OPERATIONS = 16
N_TOPICS = 24

# Index 0 is "no constraint".
CONSTRAINTS = (
    "",
    "Answer with one word.",
    "Keep the original order.",
    "Use ISO 8601 dates only.",
    "Return valid JSON and nothing else.",
    "Ignore rows that are marked as draft.",
    "Cite the line that supports each statement.",
    "Two of the sources contradict each other; say which one is right.",
    "Amounts are in three currencies; convert at the rate of the booking day.",
    "Do not change anything that is already deployed.",
    "The previous attempt missed an edge case around midnight.",
    "Stay below 80 words.",
    "If a value is missing, infer it from the neighboring entries.",
    "Prefer the newest revision where several exist.",
    "Prove that no record is counted twice.",
    "Spell names exactly as they appear.",
)

TEAMS = ("billing", "platform", "claims", "growth", "support", "payments", "fleet", "archive")

SYSTEM = {
    "planner": "You plan the work of a group of agents. Split the goal into steps, name the agent "
    "for each and the condition under which you plan again.",
    "worker": "You carry out exactly one step of a plan and report the result to the planner.",
    "critic": "You judge the work of another agent. Grade it and give the strongest objection.",
    "extractor": "You copy values out of documents into the schema that you are given.",
    "tool_caller": "You turn a request into one call of one of the tools listed below.",
    "summarizer": "You write for people who have not seen the material.",
    "coder": "You edit a code base. Answer with a patch that applies cleanly.",
    "router": "You assign each message to one of a closed set of labels.",
}

ASSISTANT = (
    "Done with the previous step; {n} items are ready.",
    "I could read {n} of the files, the others are empty.",
    "The tool returned {n} rows after {s} s.",
    "Step finished. Next I need the result of job {n}.",
    "No match for reference {n}; the search was widened.",
    "The plan has {s} steps left, and job {n} is still running.",
)
