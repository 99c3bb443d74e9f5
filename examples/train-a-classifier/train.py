#!/usr/bin/python3
"""Trains a random forest on one table, tries it on another, and writes it as ONNX.

    train.py TRAIN.csv TEST.csv NAME OUT

writes OUT/NAME.onnx, and what scikit-learn itself says about TEST: OUT/NAME.predictions.jsonl
Needs scikit-learn and onnx: apt install python3-sklearn python3-onnx
"""
import csv
import json
import sys

import numpy as np
from onnx import TensorProto, checker, helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import confusion_matrix

# A power of two: a tree's share of the vote is exact in float32 then, and so are ties.
TREES = 64
# Below this probability deploy.ts lets the model abstain.
THRESHOLD = 0.5


def read(path):
    """A table of table.ts: ids, labels, feature names, features as the model will get them (float32)."""
    with open(path, newline='', encoding='utf-8') as file:
        head, *rows = csv.reader(file)
    features = np.array([row[2:] for row in rows], dtype=np.float64).astype(np.float32)
    return [row[0] for row in rows], np.array([row[1] for row in rows]), head[2:], features


def round_down(threshold):
    """The largest float32 that is not above a float64 threshold: `x <= threshold` stays the same for every float32 x."""
    rounded = np.float32(threshold)
    return float(rounded if rounded <= threshold else np.nextafter(rounded, np.float32(-np.inf)))


def to_onnx(forest, names):
    """The forest as one TreeEnsembleClassifier node: its arrays are parallel, an entry for each node, and one for each
    class that a leaf has."""
    nodes = {key: [] for key in ('treeids', 'nodeids', 'featureids', 'modes', 'values', 'truenodeids', 'falsenodeids')}
    votes = {key: [] for key in ('treeids', 'nodeids', 'ids', 'weights')}

    def append(arrays, *entry):
        for array, value in zip(arrays.values(), entry, strict=True):
            array.append(value)

    for number, estimator in enumerate(forest.estimators_):
        tree = estimator.tree_
        for node in range(tree.node_count):
            left, right = int(tree.children_left[node]), int(tree.children_right[node])
            if left != -1:
                threshold = round_down(tree.threshold[node])
                append(nodes, number, node, int(tree.feature[node]), 'BRANCH_LEQ', threshold, left, right)
                continue
            append(nodes, number, node, 0, 'LEAF', 0.0, 0, 0)
            samples = tree.value[node][0]
            # Votes of nothing, too: of two classes, onnxruntime takes one without a vote for a score below 0.
            for index, vote in enumerate(samples / samples.sum() / len(forest.estimators_)):
                append(votes, number, node, index, float(vote))

    labels = [str(label) for label in forest.classes_]
    node = helper.make_node(
        'TreeEnsembleClassifier', ['features'], ['label', 'probabilities'], domain='ai.onnx.ml',
        classlabels_strings=labels, post_transform='NONE',
        **{f'nodes_{key}': values for key, values in nodes.items()},
        **{f'class_{key}': values for key, values in votes.items()})
    graph = helper.make_graph(
        [node], 'forest',
        [helper.make_tensor_value_info('features', TensorProto.FLOAT, [None, len(names)])],
        [helper.make_tensor_value_info('label', TensorProto.STRING, [None]),
         helper.make_tensor_value_info('probabilities', TensorProto.FLOAT, [None, len(labels)])])
    # Versions that every runtime of the last years knows.
    opsets = [helper.make_opsetid('', 13), helper.make_opsetid('ai.onnx.ml', 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=7, producer_name='nfstream example')
    helper.set_model_props(model, {'feature_names': json.dumps(names), 'labels': json.dumps(labels)})
    checker.check_model(model)
    return model


def report(truth, predicted):
    labels = sorted(set(truth))
    print(''.join(f'{text:>9}' for text in ['true', *labels]))
    for label, row in zip(labels, confusion_matrix(truth, predicted, labels=labels)):
        print(f'{label:>9}' + ''.join(f'{count or ".":>9}' for count in row))


def main(train_table, test_table, name, out):
    _, labels, names, features = read(train_table)
    is_labelled = labels != ''
    labels, features = labels[is_labelled], features[is_labelled]
    forest = RandomForestClassifier(n_estimators=TREES, oob_score=True, random_state=0)
    forest.fit(features, labels)
    with open(f'{out}/{name}.onnx', 'wb') as file:
        file.write(to_onnx(forest, names).SerializeToString())

    flows, truth, test_names, features = read(test_table)
    assert test_names == names, f'{test_table} has other columns than {train_table}'
    predicted, probabilities = forest.predict(features), forest.predict_proba(features)
    with open(f'{out}/{name}.predictions.jsonl', 'w', encoding='utf-8') as file:
        for flow, label, row in zip(flows, predicted, probabilities):
            file.write(json.dumps({'flow': flow, 'label': label, 'probabilities': dict(zip(forest.classes_, row))}) + '\n')

    print(f'{name}: {TREES} trees from {len(labels)} flows, {len(names)} features')
    print(f'flows of the same capture that a tree had not seen: {100 * forest.oob_score_:.1f} %')
    is_labelled = truth != ''
    truth, predicted = truth[is_labelled], predicted[is_labelled]
    right = int((truth == predicted).sum())
    print(f'on the other capture: {right} of {len(truth)} flows right: {100 * right / len(truth):.1f} %')
    report(truth, predicted)
    answered = probabilities[is_labelled].max(axis=1) >= THRESHOLD
    right = 100 * (truth == predicted)[answered].mean()
    print(f'answering only from a probability of {THRESHOLD} on: {answered.sum()} flows, {right:.1f} % of them right')
    best = sorted(zip(forest.feature_importances_, names), reverse=True)[:5]
    print('features that decide most: ' + ', '.join(feature for _, feature in best))


if __name__ == '__main__':
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
