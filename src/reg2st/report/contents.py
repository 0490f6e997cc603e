"""Every table and figure of a study. A new one is a module of its own and an entry here."""

from typing import TYPE_CHECKING

from reg2st.report.products import (
    LABELLED_SECTION,
    MAPPED_SECTION,
    METHOD_THAT_EXPECTS,
    ONCE_OF_BOTH_SPLITS,
    SECTION,
    SPLIT,
    SPLIT_WITH_NETWORKS,
    Figure,
    Table,
    has_gene_sets,
    has_labels,
)

if TYPE_CHECKING:
    from reg2st.study.study import Study

TABLES = {
    table.name: table
    for table in (
        Table(
            name="comparison",
            label="comparison of the methods",
            made_by="tables.comparison:comparison",
            needs=("scores", "limits"),
            settings=("metric", "published"),
            shows=(
                "Mean and median {metric} of every method by dataset and split, with 95 % "
                "intervals. The interval over patients (bootstrap of whole patients) is the one to "
                "trust: sections of one patient are not independent. A limit is what no predictor "
                "can be expected to exceed; definitions stand below the table."
            ),
            not_done=(
                "published rows were not run again. No setting, checkpoint or panel was chosen on "
                "a test section, but published panels were chosen from all sections."
            ),
        ),
        Table(
            name="sections",
            label="{metric} by section",
            made_by="tables.section_table:section_table",
            needs=("scores", "limits"),
            settings=("metric",),
            shows=(
                "Mean {metric} over the genes of every section, a column a method, with the number "
                "of spots and the limits of the section."
            ),
            not_done=(
                "seeds are averaged and their spread is not shown. The TSV beside this table has "
                "medians, Spearman correlation and MSE."
            ),
        ),
        Table(
            name="genes",
            label="best and worst genes",
            made_by="tables.gene_table:gene_table",
            needs=("scores", "limits"),
            settings=("metric", "reference"),
            shows=(
                "The genes with the best and the worst {metric} (mean over sections), how many "
                "spots express them, and the {metric} of every method. The TSV beside this table "
                "has all genes."
            ),
            not_done=(
                "genes were chosen by the scores shown, so the extremes look better and worse "
                "than they are. Single genes were not tested."
            ),
        ),
        Table(
            name="gene_sets",
            label="{metric} over sets of genes",
            made_by="tables.gene_set_table:gene_set_table",
            needs=("scores", "gene_sets"),
            settings=("metric",),
            shows=(
                "Mean {metric} over all genes and over each set of genes that the config names, by "
                "dataset, split and method, with its 95 % interval over patients. Further metrics "
                "have columns of their own."
            ),
            not_done=(
                "sets were chosen on all sections, tested ones too, or are those of a file. "
                "Nothing was trained or chosen on them."
            ),
            where=has_gene_sets,
        ),
        Table(
            name="significance",
            label="differences between methods",
            made_by="tables.significance:significance",
            needs=("scores",),
            settings=("metric", "reference"),
            shows=(
                "One method against every other, over sections: one-sided Wilcoxon signed-rank "
                "test on the sections' median {metric} (zero_method pratt, Bonferroni), "
                "rank-biserial effect size, and the difference in mean {metric} with its 95 % "
                "interval over patients. The test takes sections of one patient as independent, as "
                "the Reg2ST paper does; they are not, so trust the interval."
            ),
            not_done="p is not corrected across datasets and splits.",
        ),
        Table(
            name="cost",
            label="cost",
            made_by="tables.cost:cost_table",
            needs=("records",),
            shows=(
                "Parameters, seconds of training (wall time without loading), peak memory (GiB, "
                "of the whole process) and device of each method: medians and maxima over runs. "
                "The TSV beside this table has a row a run."
            ),
            not_done=(
                "runs that shared the machine with other jobs are not marked. Features, patches "
                "and graphs are not counted."
            ),
            of_scores=False,
        ),
        Table(
            name="regions",
            label="agreement with labelled regions",
            made_by="tables.region_table:region_table",
            needs=("agreement",),
            shows=(
                "Agreement of clusters of predicted expression with the pathologist's regions: "
                "adjusted Rand index and normalised mutual information of k-means on the first 20 "
                "principal components, with as many clusters as regions. Compare with the row of "
                "the observed expression."
            ),
            not_done="spots without a label are left out. Clusters were not tuned.",
            of_scores=False,
            where=has_labels,
        ),
        Table(
            name="ablation",
            label="ablation",
            made_by="tables.experiment_tables:ablation",
            needs=("scores", "limits"),
            settings=("metric", "variants", "published"),
            experiment="ablation",
            shows=(
                "Mean and median {metric} of the method without each of its parts, and the change "
                "from the full method, beside the published numbers. Intervals: 95 %, bootstrap of "
                "whole patients, for three patients or more."
            ),
            not_done=(
                "settings were not tuned for each variant. Published numbers (leave one section "
                "out) were not run again."
            ),
        ),
        Table(
            name="sensitivity",
            label="sensitivity",
            made_by="tables.experiment_tables:sensitivity",
            needs=("scores", "limits"),
            settings=("metric", "curves", "published"),
            experiment="sensitivity",
            shows=(
                "Mean and median {metric} along one setting at a time, the others as configured, "
                "beside the published curves. Intervals: 95 %, bootstrap of whole patients, for "
                "three patients or more."
            ),
            not_done=(
                "settings were not varied together. Published curves (leave one section out) were "
                "read off the plots, to about 0.0005."
            ),
        ),
    )
}
"""Every table by name."""

FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            name="section_boxes",
            label="{metric} by section",
            made_by="figures.section_boxes:section_boxes",
            needs=("scores",),
            settings=("metric",),
            scope=SPLIT,
            group="{metric}",
            shows=(
                "{metric} of all genes in every section, by method. Boxes: quartiles over genes; "
                "whiskers: 5th and 95th percentile. Mean and Median: each gene's mean and median "
                "over the sections. The background distinguishes patients."
            ),
            not_done=(
                "seeds are averaged and their spread is not shown. Methods without a {metric} (the "
                "training mean) are not drawn."
            ),
        ),
        Figure(
            name="wilcoxon",
            label="tests between methods",
            made_by="figures.wilcoxon:wilcoxon_boxes",
            needs=("scores",),
            settings=("metric", "reference"),
            scope=SPLIT,
            group="{metric}",
            shows=(
                "Median {metric} over genes of each section, by method. Boxes: quartiles over "
                "sections; whiskers: all sections; a dot is a section. Right: p (Bonferroni) of "
                "the one-sided Wilcoxon signed-rank test that the tested method is better, and "
                "the rank-biserial effect size r."
            ),
            not_done=(
                "the test takes sections of one patient as independent, which they are not. The "
                "table of differences has intervals over patients."
            ),
        ),
        Figure(
            name="expression_level",
            label="{metric} against expression level",
            made_by="figures.expression_level:expression_level",
            needs=("scores",),
            settings=("metric",),
            scope=SPLIT,
            group="{metric}",
            shows=(
                "Mean {metric} of genes in ten bins of about equally many, by mean expression "
                "(left, in units of the target) and by the share of spots that express them "
                "(right). Marks: a bin's median against the mean {metric} of its genes."
            ),
            not_done=(
                "the spread within a bin is not shown. The limit that counting noise sets depends "
                "on expression too."
            ),
        ),
        Figure(
            name="leakage",
            label="leakage: section against patient left out",
            made_by="figures.leakage:leakage",
            needs=("scores",),
            settings=("metric",),
            scope=ONCE_OF_BOTH_SPLITS,
            group="{metric}",
            shows=(
                "Mean {metric} over the sections that both splits test, when one section is left "
                "out (other sections of its patient are trained on) and when one patient is left "
                "out; right: the difference, how much the other sections of a patient help. "
                "Lines: 95 % interval over patients, for three patients or more."
            ),
            not_done=(
                "the training sets differ in size too, so not all of the difference is leakage."
            ),
        ),
        Figure(
            name="expected_pcc",
            label="expected against reached PCC",
            made_by="figures.expected_pcc:expected_pcc",
            needs=("scores", "predictions"),
            scope=METHOD_THAT_EXPECTS,
            group="PCC",
            shows=(
                "The PCC that a method expects of each gene, estimated inside the training "
                "sections, against the PCC that it reaches in the test sections. Left: a dot is a "
                "gene in a section; on the line both are equal. Right: a dot is a section, the "
                "correlation of expected with reached PCC over its genes; dotted: their mean. "
                "First seed only."
            ),
            not_done=(
                "noise of the PCC reached is neither shown nor removed from the correlations; it "
                "lowers them."
            ),
        ),
        Figure(
            name="gene_maps",
            label="maps of genes",
            made_by="figures.gene_maps:gene_maps",
            needs=("scores", "section_file", "predictions"),
            settings=("metric", "genes"),
            scope=MAPPED_SECTION,
            group="Genes on the slide",
            on_slide=True,
            shows=(
                "The slide, the observed expression of some genes, and the prediction of each "
                "method (first seed). Every map is standardised over the section's spots (mean 0, "
                "SD 1); all share one colour scale, cut at 2 SD. Above a map: its SD before that, "
                "in units of the target, and the {metric}. Predictions vary far less than "
                "observations, which a correlation does not see. Methods that predict a constant "
                "or nothing are not drawn. Spots are discs as wide as the spots' distance."
            ),
            not_done=(
                "nothing is smoothed or imputed. Genes that the config names are left out where "
                "the panel lacks them. The other genes are the best predicted on this section by "
                "the last method, so they show it at its best."
            ),
        ),
        Figure(
            name="region_maps",
            label="regions",
            made_by="figures.region_maps:region_maps",
            needs=("section_file", "labels", "predictions"),
            scope=LABELLED_SECTION,
            group="Regions",
            on_slide=True,
            shows=(
                "The slide, the pathologist's regions, and clusters of the observed and of each "
                "method's predicted expression (first seed; k-means on the first 20 principal "
                "components, as many clusters as regions). Each cluster has the colour of one "
                "region, so that most spots agree. ARI: adjusted Rand index, 0 by chance, 1 for "
                "the same regions. NMI: normalised mutual information, 0 to 1. Grey spots have no "
                "region and are left out. Methods that predict a constant or nothing are not "
                "drawn."
            ),
            not_done=(
                "clusters were neither tuned nor smoothed. One clustering of each method is shown."
            ),
            of_scores=False,
        ),
        Figure(
            name="spots",
            label="spots on the slide",
            made_by="figures.spots:spots",
            needs=("section_file",),
            settings=("view",),
            scope=SECTION,
            group="Quality control",
            on_slide=True,
            shows=(
                "The slide of a section with its spots to scale, to check by eye that they lie on "
                "tissue, and what was left out of the section."
            ),
            not_done="tissue is not detected. Folds, tears and pen marks are not left out.",
            of_scores=False,
        ),
        Figure(
            name="training",
            label="training curves",
            made_by="figures.training_curves:training_curves",
            needs=("histories",),
            scope=SPLIT_WITH_NETWORKS,
            group="Training",
            shows=(
                "Training loss of each network by epoch: median over runs, the band their range. "
                "Where a loss has parts, each has a line, weighted as in the total. Losses of "
                "different methods have different terms and cannot be compared."
            ),
            not_done=(
                "there is no validation curve: no checkpoint is chosen, the last epoch is used."
            ),
            of_scores=False,
        ),
        Figure(
            name="ablation",
            label="ablation",
            made_by="figures.ablation:ablation_bars",
            needs=("scores",),
            settings=("metric", "variants", "published"),
            experiment="ablation",
            scope=SPLIT,
            group="Experiments",
            shows=(
                "Mean and median {metric} of the method without each of its parts, beside the "
                "published bars if there are any (Reg2ST, leave one section out). Lines: 95 % "
                "interval of our mean over patients, for three patients or more."
            ),
            not_done="settings were not tuned for each variant. Intervals were not published.",
        ),
        Figure(
            name="sensitivity",
            label="sensitivity",
            made_by="figures.sensitivity:sensitivity_curves",
            needs=("scores",),
            settings=("metric", "curves", "published"),
            experiment="sensitivity",
            scope=SPLIT,
            group="Experiments",
            shows=(
                "Mean and median {metric} along one setting at a time, the others as configured, "
                "beside the published curves if there are any (Reg2ST, leave one section out). "
                "Bands: 95 % interval of our mean over patients, for three patients or more."
            ),
            not_done=(
                "settings were not varied together. Published curves were read off the plots, to "
                "about 0.0005."
            ),
        ),
    )
}
"""Every figure by name."""


def files(study: "Study", experiment: str = "") -> list[str]:
    """Every table and figure of a study's comparison, or of an experiment if the study has it."""
    if experiment and experiment not in study.experiments:
        return []
    tables = [
        study.layout.table(kind, table.name)
        for table in TABLES.values()
        if table.experiment == experiment and table.where(study)
        for kind in table.kinds
    ]
    figures = [
        study.layout.figure(kind, dataset, figure.name, of)
        for figure in FIGURES.values()
        if figure.experiment == experiment
        for dataset in study.datasets
        for of in figure.all_of(study, dataset)
        for kind in figure.kinds
    ]
    return tables + figures
