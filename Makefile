# Everything is installed into .venv; nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
GROUPS_WITHOUT_FIGURES := cifar10 torchvision timm
FIGURE3 := imagenet/vgg19 imagenet/plain34 imagenet/resnet34
FIGURE5 := imagenet/resnet34 imagenet/resnet50
BRANCHES := torchvision/densenet121 torchvision/mobilenet_v3_small torchvision/shufflenet_v2_x0_5
PLAIN := torchvision/alexnet torchvision/vgg11 torchvision/squeezenet1_1 torchvision/googlenet
MOBILE := torchvision/mobilenet_v2 torchvision/mnasnet1_0 torchvision/efficientnet_b0
RESIDUAL := torchvision/resnext50_32x4d torchvision/regnet_y_400mf torchvision/convnext_tiny
README := imagenet/resnet50 timm/seresnet50 torchvision/inception_v3 --block 1:1,InceptionE
RESNETS := $(foreach depth,18 34 50 101 152,imagenet/resnet$(depth))
BLOCKS := timm/seresnet50 torchvision/efficientnet_b0 torchvision/inception_v3 --block 1:0,2:1,InceptionE
OVERVIEW := imagenet/resnet50 torchvision/efficientnet_b0 torchvision/densenet121
DIFFERENCE := torchvision/resnet50 timm/seresnet50
TUTORIAL := imagenet/resnet50 docs/tutorial/resnet65.yaml
HEAT := imagenet/resnet50 torchvision/vgg16
PICTURES := $(basename $(notdir $(wildcard docs/blocks/*.yaml)))

.PHONY: demo test tests lint docs verify generated schema index commands bench clean

demo: .venv/installed
	@echo
	@$(BIN)/archc check $(FIGURE3)
	@echo
	@$(BIN)/archc count $(FIGURE3)
	@echo
	@$(BIN)/archc build $(FIGURE3) -o demo
	@$(BIN)/archc graph imagenet/resnet34 -o demo/imagenet/resnet34.graph.json
	@$(BIN)/archc draw $(FIGURE3) -o demo/figure3.svg
	@echo
	@echo "graph    demo/imagenet/resnet34.graph.json"
	@echo "figure   demo/figure3.svg"
	@echo "modules  demo/imagenet/vgg19.py demo/imagenet/plain34.py demo/imagenet/resnet34.py"

# The linters run beside the tests, which take longer and end with how many there were.
test: .venv/developing
	@$(MAKE) --no-print-directory -j2 lint tests

tests: .venv/developing
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(PYTEST)

lint: .venv/developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The site of docs/, in site/: for a server or to be opened from disk. A link that leads nowhere is an
# error. What builds it is installed for this alone.
docs: .venv/documenting commands
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "The docs are in site/index.html"

# Every shipped spec: its emitted module against its graph, with torch.export and torch.compile. What
# has over 100 million parameters is verified quickly, on small images.
OF_PARAMETERS = $$($(BIN)/archc list --format json | $(BIN)/python -c \
	'import json, sys; print(*[one["spec"] for one in json.load(sys.stdin) if one["params"] $(1)])')
verify: .venv/developing
	$(BIN)/archc verify $(call OF_PARAMETERS,<= 1e8)
	$(BIN)/archc verify --quick --input 3,64,64 $(call OF_PARAMETERS,> 1e8)

# What `archc build` writes for the shipped specs, and the JSON Schemas of specs and recipes.
generated: schema index commands
	$(BIN)/archc build $$($(BIN)/archc list imagenet --format names) -o generated
	$(BIN)/archc build $$($(BIN)/archc list $(GROUPS_WITHOUT_FIGURES) --format names) --no-figures -o generated
	$(BIN)/archc draw $(FIGURE3) -o generated/figure3.svg
	$(BIN)/archc draw $(FIGURE3) --fold -o generated/figure3-folded.svg
	$(BIN)/archc draw $(FIGURE5) --blocks -o generated/figure5.svg
	$(BIN)/archc draw imagenet/resnet152 --fold -o generated/resnet152-folded.svg
	$(BIN)/archc draw imagenet/resnet34 imagenet/resnet50 --block 1:1 -o generated/figure5-paper.svg
	$(BIN)/archc draw torchvision/inception_v3 -o generated/inception_v3.svg
	$(BIN)/archc draw $(BRANCHES) --fold -o generated/branches.svg
	$(BIN)/archc draw $(PLAIN) --fold -o generated/plain.svg
	$(BIN)/archc draw $(MOBILE) --fold -o generated/mobile.svg
	$(BIN)/archc draw $(RESIDUAL) --fold -o generated/residual.svg
	$(BIN)/archc draw $(BLOCKS) -o generated/blocks-with-branches.svg
	$(BIN)/archc draw $(README) -o generated/readme.svg
	$(BIN)/archc draw $(FIGURE3) --width column -o generated/figure3-column.svg
	$(BIN)/archc draw imagenet/resnet152 --fold --width column -o generated/resnet152-column.svg
	$(BIN)/archc draw $(RESNETS) --fold --width page -o generated/resnets-page.svg
	$(BIN)/archc draw $(OVERVIEW) --overview -o generated/overview.svg
	$(BIN)/archc draw $(DIFFERENCE) --diff --fold -o generated/difference.svg
	$(BIN)/archc draw $(TUTORIAL) --diff --fold -o generated/tutorial.svg
	$(BIN)/archc draw $(HEAT) --heat multiply_adds --fold -o generated/heat.svg
	mkdir -p generated/blocks
	for name in $(PICTURES); do \
		$(BIN)/archc draw docs/blocks/$$name.yaml --blocks -o generated/blocks/$$name.svg || exit; \
	done

# What `archc list` says, so that it need not compile every shipped spec.
index: .venv/installed
	$(BIN)/python -m archc.listing > specs/index.json.new
	mv specs/index.json.new specs/index.json

# docs/commands.md, from the help of every command, and the codes in docs/diagnostics.md.
commands: .venv/installed
	$(BIN)/python tools/command_reference.py
	$(BIN)/python tools/code_list.py

schema: .venv/installed
	$(BIN)/archc schema -o specs/schema.json
	$(BIN)/archc schema recipe -o specs/recipe.schema.json

bench: .venv/developing
	$(BIN)/python benchmarks/compiler.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/bounds.py
	$(BIN)/python benchmarks/counting.py
	$(BIN)/python benchmarks/foreign.py
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/modules.py
	$(BIN)/python benchmarks/shortcuts.py
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/training.py

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("archc needs Python 3.11 or later; make PYTHON=... says which" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/developing: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/documenting: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv demo dist site
