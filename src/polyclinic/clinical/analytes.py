"""Laboratory values and vital signs: of each the one LOINC code and the one unit used here.

Units are those of the hourly cohorts (`clinical.icu`), so that a model trained on them reads FHIR.
Sources: LOINC 2.81 (codes); the concept dictionary of ricu (Bennett et al., GigaScience 2023) for
the cohorts' units; molar masses from IUPAC's standard atomic weights 2021. The mass of urea is that
of its nitrogen, of phosphate that of its phosphorus, as these are reported; that of haemoglobin is
of one chain with its iron.
"""

from typing import NamedTuple


class Analyte(NamedTuple):
    """Something measured.

    name: ricu's where it has one. loinc: the code that stands for it. unit: UCUM. also: LOINC codes
    of the same thing in another unit, material or method. molar_mass: g/mol, which converts between
    mass and amount. valence: which converts between equivalents and amount.
    """

    name: str
    loinc: str
    display: str
    unit: str
    also: tuple[str, ...] = ()
    molar_mass: float | None = None
    valence: int | None = None


_A = Analyte
#: The hourly cohorts' variables first, in their order.
ANALYTES = (
    _A("alb", "1751-7", "Albumin", "g/dL"),
    _A("alp", "6768-6", "Alkaline phosphatase", "U/L"),
    _A("alt", "1742-6", "Alanine aminotransferase", "U/L"),
    _A("ast", "1920-8", "Aspartate aminotransferase", "U/L"),
    _A("be", "11555-0", "Base excess", "mmol/L", ("1925-7",), valence=1),
    _A("bicar", "1963-8", "Bicarbonate", "mmol/L", ("1959-6",), 61.017, 1),
    _A("bili", "1975-2", "Bilirubin, total", "mg/dL", ("14631-6",), 584.67),
    _A("bili_dir", "1968-7", "Bilirubin, direct", "mg/dL", ("14629-0",), 584.67),
    _A("bnd", "764-1", "Band neutrophils per leukocytes", "%", ("26508-2",)),
    _A("bun", "3094-0", "Urea nitrogen", "mg/dL", ("6299-2", "22664-7", "14937-7"), 28.014),
    _A("ca", "17861-6", "Calcium, total", "mg/dL", ("2000-8",), 40.078, 2),
    _A("cai", "1995-0", "Calcium, ionised", "mmol/L", ("1994-3", "17863-2"), 40.078, 2),
    _A("ck", "2157-6", "Creatine kinase", "U/L"),
    _A("ckmb", "13969-1", "Creatine kinase MB", "ng/mL", ("49551-5",)),
    _A("cl", "2075-0", "Chloride", "mmol/L", ("2069-3",), 35.45, 1),
    _A("crea", "2160-0", "Creatinine", "mg/dL", ("38483-4", "14682-9", "59826-8"), 113.12),
    _A("crp", "1988-5", "C-reactive protein", "mg/L", ("30522-7",)),
    _A("dbp", "8462-4", "Diastolic blood pressure", "mm[Hg]"),
    _A("fgn", "3255-7", "Fibrinogen", "mg/dL"),
    _A("fio2", "3150-0", "Inhaled oxygen concentration", "%", ("19994-3",)),
    _A(
        "glu",
        "2345-7",
        "Glucose",
        "mg/dL",
        ("2339-0", "41653-7", "14749-6", "15074-8", "14743-9"),
        180.156,
    ),
    _A("hgb", "718-7", "Haemoglobin", "g/dL", ("20509-6", "59260-0"), 16114.5),
    _A("hr", "8867-4", "Heart rate", "/min"),
    _A("inr_pt", "6301-6", "International normalised ratio", "1", ("34714-6",)),
    _A("k", "2823-3", "Potassium", "mmol/L", ("6298-4",), 39.098, 1),
    _A("lact", "2524-7", "Lactate", "mmol/L", ("32693-4", "2518-9"), 90.078),
    _A("lymph", "736-9", "Lymphocytes per leukocytes", "%", ("26478-8", "737-7")),
    _A("map", "8478-0", "Mean blood pressure", "mm[Hg]"),
    _A("mch", "785-6", "Mean corpuscular haemoglobin", "pg", ("28539-5",), 16114.5),
    _A(
        "mchc",
        "786-4",
        "Mean corpuscular haemoglobin per cell volume",
        "g/dL",
        ("28540-3",),
        16114.5,
    ),
    _A("mcv", "787-2", "Mean corpuscular volume", "fL", ("30428-7",)),
    _A("methb", "2614-6", "Methaemoglobin per haemoglobin", "%"),
    _A("mg", "19123-9", "Magnesium", "mg/dL", ("2601-3",), 24.305, 2),
    _A("na", "2951-2", "Sodium", "mmol/L", ("2947-0",), 22.990, 1),
    _A("neut", "770-8", "Neutrophils per leukocytes", "%", ("26511-6", "23761-0")),
    _A("o2sat", "2708-6", "Oxygen saturation", "%", ("59408-5",)),
    _A("pco2", "2019-8", "Carbon dioxide, partial pressure", "mm[Hg]", ("11557-6",)),
    _A("ph", "2744-1", "pH", "[pH]", ("11558-4",)),
    _A("phos", "2777-1", "Phosphate", "mg/dL", ("14879-1",), 30.974),
    _A("plt", "777-3", "Platelets", "10*3/uL", ("26515-7",)),
    _A("po2", "2703-7", "Oxygen, partial pressure", "mm[Hg]", ("11556-8",)),
    _A("ptt", "3173-2", "Partial thromboplastin time", "s", ("14979-9",)),
    _A("resp", "9279-1", "Respiratory rate", "/min"),
    _A("sbp", "8480-6", "Systolic blood pressure", "mm[Hg]"),
    _A("temp", "8310-5", "Body temperature", "Cel"),
    _A("tnt", "6598-7", "Troponin T", "ng/mL", ("48425-3", "67151-1")),
    _A("urine", "9187-6", "Urine output", "mL"),
    _A("wbc", "6690-2", "Leukocytes", "10*3/uL", ("26464-8", "804-5")),
    _A("height", "8302-2", "Body height", "cm"),
    _A("weight", "29463-7", "Body weight", "kg", ("3141-9",)),
    _A("bmi", "39156-5", "Body mass index", "kg/m2"),
    _A("gcs", "9269-2", "Glasgow coma score", "{score}"),
    _A("ammonia", "16362-6", "Ammonia", "umol/L", (), 17.031),
    _A("amylase", "1798-8", "Amylase", "U/L"),
    _A("anion_gap", "33037-3", "Anion gap", "mmol/L", ("1863-0",), valence=1),
    _A("basos", "706-2", "Basophils per leukocytes", "%"),
    _A("bnp", "30934-4", "Natriuretic peptide B", "pg/mL", ("42637-9",)),
    _A("cholesterol", "2093-3", "Cholesterol, total", "mg/dL", ("14647-2",), 386.66),
    _A("eos", "713-8", "Eosinophils per leukocytes", "%"),
    _A("esr", "4537-7", "Erythrocyte sedimentation rate", "mm/h", ("30341-2",)),
    _A("ferritin", "2276-4", "Ferritin", "ng/mL"),
    _A("hba1c", "4548-4", "Haemoglobin A1c per haemoglobin", "%", ("59261-8",)),
    _A("hct", "4544-3", "Haematocrit", "%", ("20570-8",)),
    _A("hdl", "2085-9", "Cholesterol in HDL", "mg/dL", ("14646-4",), 386.66),
    _A("iron", "2498-4", "Iron", "ug/dL", (), 55.845),
    _A("ldh", "2532-0", "Lactate dehydrogenase", "U/L", ("14804-9",)),
    _A("ldl", "13457-7", "Cholesterol in LDL", "mg/dL", ("18262-6", "2089-1", "22748-8"), 386.66),
    _A("lipase", "3040-3", "Lipase", "U/L"),
    _A("monos", "5905-5", "Monocytes per leukocytes", "%"),
    _A("nt_probnp", "33762-6", "Natriuretic peptide B prohormone", "pg/mL"),
    _A("procalcitonin", "33959-8", "Procalcitonin", "ng/mL", ("75241-0",)),
    _A("protein", "2885-2", "Protein, total", "g/dL"),
    _A("pt", "5902-2", "Prothrombin time", "s", ("5964-2",)),
    _A("rbc", "789-8", "Erythrocytes", "10*6/uL"),
    _A("rdw", "788-0", "Erythrocyte distribution width", "%"),
    _A("tco2", "2028-9", "Carbon dioxide, total", "mmol/L", (), 44.009, 1),
    _A("tni", "10839-9", "Troponin I", "ng/mL"),
    _A("triglycerides", "2571-8", "Triglycerides", "mg/dL", ("14927-8",), 885.4),
    _A("tsh", "3016-3", "Thyrotropin", "m[IU]/L"),
    _A("free_t4", "3024-7", "Thyroxine, free", "ng/dL", ("14920-3",), 776.87),
    _A("uric_acid", "3084-1", "Urate", "mg/dL", ("14933-6",), 168.11),
)
BY_NAME = {analyte.name: analyte for analyte in ANALYTES}
BY_LOINC = {code: analyte for analyte in ANALYTES for code in (analyte.loinc, *analyte.also)}
