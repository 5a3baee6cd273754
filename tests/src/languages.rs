//! One short text in each of many languages: simple sentences of our own.

/// Languages by their English names, each with a text in its usual script.
pub const LANGUAGES: [(&str, &str); 78] = [
    ("Albanian", "Uji i ftohtë është i mirë. Fëmija lexon tre libra, dhe nëna këndon çdo mëngjes."),
    ("Amharic", "ውሃ ጥሩ ነው። ልጁ 3 መጻሕፍት ያነባል፤ እናቱም ትዘፍናለች።"),
    ("Arabic", "الماءُ طيّبٌ، والولدُ يقرأ ٣ كتب. هل تعرف أين بيتنا؟"),
    ("Armenian", "Ջուրը լավն է։ Երեխան կարդում է 3 գիրք, իսկ մայրը երգում է։ Ո՞վ եք դուք։"),
    (
        "Azerbaijani",
        "Su yaxşıdır. Uşaq üç kitab oxuyur, anası isə hər səhər mahnı söyləyir. İşıq gəldi!",
    ),
    ("Basque", "Ura ona da. Haurrak hiru liburu irakurtzen ditu, eta amak goizero abesten du."),
    ("Belarusian", "Вада добрая. Дзіця чытае тры кнігі, а маці ўранку спявае. Дзе ж наша хата?"),
    ("Bengali", "জল ভালো। শিশুটি ৩টি বই পড়ে, আর মা প্রতিদিন সকালে গান করেন।"),
    (
        "Breton",
        "Mat eo an dour. Lenn a ra ar bugel tri levr, ha kanañ a ra e vamm bep mintin; c’hoarzhin a reont.",
    ),
    (
        "Bulgarian",
        "Водата е добра. Детето чете три книги, а майка му пее всяка сутрин. Къде е къщата?",
    ),
    ("Burmese", "ရေသည် ကောင်း၏။ ကလေးသည် စာအုပ် ၃ အုပ် ဖတ်သည်။"),
    (
        "Catalan",
        "L’aigua és bona. El nen llegeix tres llibres i la mare col·labora cada matí. Què és això?",
    ),
    ("Cherokee", "ᎣᏏᏲ! ᎠᎹ ᎣᏍᏓ. ᏗᏂᏲᏟ ᎠᏂᎷᎩ, ꭰꮉ ꭳꮝꮣ."),
    ("Chinese, simplified", "水很好。孩子每天早上读三本书，妈妈唱歌。我们家在哪里？“这里！”他说。"),
    (
        "Chinese, traditional",
        "水很好。孩子每天早上讀三本書，媽媽唱歌。我們家在哪裡？「這裡！」他說。",
    ),
    (
        "Croatian",
        "Voda je dobra. Dijete čita tri knjige, a majka svako jutro pjeva. Gdje je žuta kuća? Ǆ ǆ Ǉ",
    ),
    (
        "Czech",
        "Voda je dobrá. Dítě čte tři knihy a maminka každé ráno zpívá. Kde je žlutý kůň? Příliš daleko!",
    ),
    (
        "Danish",
        "Vandet er godt. Barnet læser tre bøger, og moren synger hver morgen. Hvor går åen hen?",
    ),
    ("Divehi", "ފެން ރަނގަޅު. ކުއްޖާ ތިން ފޮތް ކިޔައެވެ."),
    (
        "Dutch",
        "Het water is goed. Het kind leest drie boeken, en z’n moeder zingt ’s ochtends. Ĳs of ijs? Zeeën!",
    ),
    (
        "English",
        "Water is good. The child reads three books, and doesn't stop; mother sings at 7:30. \"Where's home?\"",
    ),
    (
        "Esperanto",
        "Akvo estas bona. La infano legas tri librojn, kaj ĉiumatene la patrino kantas. Ĝis revido, ŝi aŭdas!",
    ),
    (
        "Estonian",
        "Vesi on hea. Laps loeb kolme raamatut ja ema laulab igal hommikul. Kus on öö ja jäääär? Šokolaad!",
    ),
    (
        "Finnish",
        "Vesi on hyvää. Lapsi lukee kolmea kirjaa, ja äiti laulaa joka aamu. Missä hääyöaie on?",
    ),
    (
        "French",
        "L’eau est bonne. L'enfant lit trois livres, et sa mère chante à 7 h 30. Où est le cœur ? « Là ! » Ça va, naïf ?",
    ),
    ("Georgian", "წყალი კარგია. ბავშვი კითხულობს სამ წიგნს. ᲡᲐᲓ ᲐᲠᲘᲡ ᲡᲐᲮᲚᲘ?"),
    (
        "German",
        "Das Wasser ist gut. Das Kind liest drei Bücher, und die Mutter singt. „Größe“ heißt GRÖSSE oder GRÖẞE.",
    ),
    (
        "Greek",
        "Το νερό είναι καλό. Το παιδί διαβάζει τρία βιβλία· ο ΟΔΥΣΣΕΑΣ πού είναι; Ἐν ἀρχῇ ᾄδει.",
    ),
    ("Gujarati", "પાણી સારું છે. બાળક ૩ પુસ્તકો વાંચે છે, અને મા ગીત ગાય છે."),
    (
        "Hausa",
        "Ruwa yana da kyau. Yaro yana karanta littattafai uku, ƙanwarsa ɗaliba ce. Ina ɓera? ’Yar uwa.",
    ),
    (
        "Hawaiian",
        "He maikaʻi ka wai. Heluhelu ke keiki i ʻekolu puke, a hīmeni ka makuahine i kēlā me kēia kakahiaka.",
    ),
    ("Hebrew", "הַמַּיִם טוֹבִים. הילד קורא שלושה ספרים, ואמו שרה. איפה הבית? צה״ל וג׳ירפה."),
    ("Hindi", "पानी अच्छा है। बच्चा तीन किताबें पढ़ता है, और माँ रोज़ सुबह गाती है। हमारा घर कहाँ है? क्‍ष १२३"),
    (
        "Hungarian",
        "A víz jó. A gyerek három könyvet olvas, az anyja minden reggel énekel. Hol van az őzike? Árvíztűrő!",
    ),
    (
        "Icelandic",
        "Vatnið er gott. Barnið les þrjár bækur, og móðirin syngur á hverjum morgni. Hvað er ævi? Ég veit það.",
    ),
    (
        "Igbo",
        "Mmiri dị mma. Nwa ahụ na-agụ akwụkwọ atọ, nne ya na-abụ abụ. Ebee ka ụlọ ahụ dị? Ṅụọ!",
    ),
    (
        "Indonesian",
        "Air itu baik. Anak itu membaca tiga buku, dan ibunya bernyanyi setiap pagi. Kupu-kupu di mana?",
    ),
    ("Inuktitut", "ᐃᒥᖅ ᐱᐅᔪᖅ. ᓄᑕᕋᖅ ᐅᖃᓕᒫᖅᑐᖅ ᐱᖓᓱᓂᒃ."),
    (
        "Irish",
        "Tá an t-uisce go maith. Léann an páiste trí leabhar, agus canann a mháthair. Cá bhfuil ár dteach?",
    ),
    (
        "Italian",
        "L’acqua è buona. Il bambino legge tre libri, e la madre canta ogni mattina. Dov'è la città? Perché no!",
    ),
    (
        "Japanese",
        "水はおいしい。子どもは毎朝３冊の本を読み、お母さんはカラオケで歌う。ｶﾞｯｺｳはどこ？「ここ」々〆ヶ",
    ),
    ("Javanese", "ꦧꦚꦸꦤꦺ ꦲꦥꦶꦏ꧀꧈ ꦧꦺꦴꦕꦃ ꦩꦕ ꦧꦸꦏꦸ꧉"),
    ("Kannada", "ನೀರು ಚೆನ್ನಾಗಿದೆ. ಮಗು ೩ ಪುಸ್ತಕಗಳನ್ನು ಓದುತ್ತದೆ."),
    (
        "Kazakh",
        "Су жақсы. Бала үш кітап оқиды, ал анасы әр таңда ән айтады. Үй қайда? Ғажап, өң, ұл, һәм.",
    ),
    ("Khmer", "ទឹកល្អ។ ក្មេងអានសៀវភៅ ៣ ក្បាល ហើយម្ដាយច្រៀង។"),
    (
        "Korean",
        "물이 좋다. 아이는 책을 세 권 읽고, 어머니는 매일 아침 노래한다. 집이 어디예요? 한글 ㅋㅋㅋ",
    ),
    ("Lao", "ນ້ຳດີ. ເດັກນ້ອຍອ່ານປຶ້ມ ໓ ຫົວ, ແລະແມ່ຮ້ອງເພງ."),
    (
        "Latvian",
        "Ūdens ir labs. Bērns lasa trīs grāmatas, un māte katru rītu dzied. Kur ir ķirsis, ļaudis, ģimene, ņem?",
    ),
    (
        "Lithuanian",
        "Vanduo geras. Vaikas skaito tris knygas, o mama kas rytą dainuoja. Kur žąsys? Įėjo ūkininkė, i̇̀ ė̃.",
    ),
    (
        "Macedonian",
        "Водата е добра. Детето чита три книги, а мајка му пее. Каде е ѓаконот? Ќерка, џеб, ѕвезда.",
    ),
    ("Malayalam", "വെള്ളം നല്ലതാണ്. കുട്ടി 3 പുസ്തകങ്ങൾ വായിക്കുന്നു. അവൻ എവിടെ?"),
    (
        "Maltese",
        "L-ilma tajjeb. It-tifel jaqra tliet kotba, u ommu tkanta kull filgħodu. Fejn hu ċ-ċavetta? Għażżien, ħobż!",
    ),
    (
        "Māori",
        "He pai te wai. E pānui ana te tamaiti i ngā pukapuka e toru, ā, e waiata ana tōna whaea.",
    ),
    ("Marathi", "पाणी चांगले आहे. मूल तीन पुस्तके वाचते, आणि आई गाते. ऱ्हस्व, ळ, ॲप."),
    ("Mongolian", "Ус сайн. Хүүхэд гурван ном уншина, ээж нь өглөө бүр дуулдаг. ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ᠌᠃"),
    ("Nepali", "पानी राम्रो छ। बच्चाले तीनवटा किताब पढ्छ, र आमा गाउनुहुन्छ।"),
    (
        "Norwegian",
        "Vannet er godt. Barnet leser tre bøker, og mora synger hver morgen. Hvor er øya? Få ærfugl!",
    ),
    ("Odia", "ପାଣି ଭଲ। ପିଲାଟି ୩ଟି ବହି ପଢ଼େ, ଆଉ ମା ଗୀତ ଗାଆନ୍ତି।"),
    (
        "Pashto",
        "اوبه ښې دي. ماشوم درې کتابونه لولي، او مور يې هر سهار سندرې وايي. ځوان، څوک، ګل، ړوند؟",
    ),
    ("Persian", "آب خوب است. کودک ۳ کتاب می‌خواند و مادرش هر صبح آواز می‌خواند. خانهٔ ما کجاست؟"),
    (
        "Polish",
        "Woda jest dobra. Dziecko czyta trzy książki, a mama śpiewa co rano. Gdzie jest żółw? Łódź, ćma, jeździec!",
    ),
    (
        "Portuguese",
        "A água é boa. A criança lê três livros, e a mãe canta às 7h30. Onde está o coração? Não, avó e avô!",
    ),
    ("Punjabi", "ਪਾਣੀ ਚੰਗਾ ਹੈ। ਬੱਚਾ ੩ ਕਿਤਾਬਾਂ ਪੜ੍ਹਦਾ ਹੈ, ਤੇ ਮਾਂ ਗਾਉਂਦੀ ਹੈ।"),
    (
        "Romanian",
        "Apa este bună. Copilul citește trei cărți, iar mama cântă în fiecare dimineață. Unde-i țânțarul? Şi ţara!",
    ),
    (
        "Russian",
        "Вода хорошая. Ребёнок читает 3 книги, а мать поёт каждое утро. «Где наш дом?» — спросил ёж. Й й и\u{306}",
    ),
    (
        "Serbian",
        "Вода је добра. Дијете чита три књиге, а мајка пјева. Где је ђак? Љубав, њива, џеп, ћуп.",
    ),
    ("Sinhala", "වතුර හොඳයි. ළමයා පොත් තුනක් කියවයි. ක්‍රමය, ශ්‍රී ලංකාව."),
    (
        "Spanish",
        "El agua es buena. El niño lee tres libros, y su madre canta a las 7:30. ¿Dónde está el pingüino? ¡Aquí!",
    ),
    (
        "Swahili",
        "Maji ni mazuri. Mtoto anasoma vitabu vitatu, na mama yake anaimba kila asubuhi. Ng'ombe yuko wapi?",
    ),
    (
        "Swedish",
        "Vattnet är gott. Barnet läser tre böcker, och mamman sjunger varje morgon. Var är ön? På ån!",
    ),
    ("Tamil", "தண்ணீர் நல்லது. குழந்தை மூன்று புத்தகங்களைப் படிக்கிறது; அம்மா பாடுகிறாள். ஸ்ரீ ௧௨௩"),
    ("Telugu", "నీరు మంచిది. పిల్లవాడు ౩ పుస్తకాలు చదువుతాడు, తల్లి పాడుతుంది."),
    ("Thai", "น้ำดี เด็กอ่านหนังสือ ๓ เล่ม และแม่ร้องเพลงทุกเช้า บ้านเราอยู่ที่ไหน ๆ"),
    ("Tibetan", "ཆུ་ཡག་པོ་འདུག །ཕྲུ་གུས་དཔེ་ཆ་གསུམ་ཀློག་གི་འདུག །༡༢༣"),
    (
        "Turkish",
        "Su iyidir. Çocuk üç kitap okuyor, annesi her sabah şarkı söylüyor. IĞDIR'da ılık İstanbul nerede?",
    ),
    (
        "Ukrainian",
        "Вода добра. Дитина читає три книжки, а мама співає щоранку. Де ж їжак? Під’їзд, ґанок, м'ята.",
    ),
    ("Urdu", "پانی اچھا ہے۔ بچہ تین کتابیں پڑھتا ہے، اور ماں گاتی ہے۔ ہمارا گھر کہاں ہے؟ ۱۲۳"),
    (
        "Vietnamese",
        "Nước tốt lắm. Đứa trẻ đọc ba quyển sách, và mẹ hát mỗi buổi sáng. Nhà ở đâu? Tiê\u{301}ng Việt nặng, ngã, hỏi.",
    ),
];
