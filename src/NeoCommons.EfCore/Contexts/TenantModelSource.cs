using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;

namespace NeoCommons.EfCore;

/// <summary>
/// Where the models of tenant contexts come from: EF's own cache and one for all tenants, or with <c>ModelPerSchema()</c> one
/// for each, from a cache of ours. In either case nobody reads another tenant than the model's while it is built.
/// </summary>
/// <remarks>
/// The tenant comes from the context's options, which it has had since before its constructor ran and which never change: a
/// model cannot be asked for before its tenant is known. Without a tenant, at design time and for the migrator, the model is
/// the one that names no schema.
/// </remarks>
internal sealed class TenantModelSource(ModelSourceDependencies dependencies, TenantContextSettings settings)
    : ModelSource(dependencies)
{
    private const string Owner = "NeoCommons:Tenant";

    private readonly TenantModels? _models = settings.HasModelPerSchema ? new(settings.CachedModels) : null;

    /// <summary>The tenant that a model was built for, if for one.</summary>
    public static Tenant? OwnerOf(IModel model) => (Tenant?)model.FindRuntimeAnnotationValue(Owner);

    public override IModel GetModel(
        DbContext context,
        ModelCreationDependencies modelCreationDependencies,
        bool designTime
    )
    {
        if (_models is null)
        {
            using var building = ModelBuilding.ForAll();
            return base.GetModel(context, modelCreationDependencies, designTime);
        }

        var tenant = TenantOptionsExtension.TenantOf(context.GetInfrastructure());
        using var own = ModelBuilding.For(tenant);
        return tenant is null
            ? base.GetModel(context, modelCreationDependencies, designTime)
            : GetModel(_models, context, tenant, modelCreationDependencies, designTime);
    }

    private IModel GetModel(
        TenantModels models,
        DbContext context,
        Tenant tenant,
        ModelCreationDependencies creation,
        bool designTime
    )
    {
        var key = new TenantModels.Key(tenant, Dependencies.ModelCacheKeyFactory.Create(context, designTime: false));
        var pair = models.GetOrAdd(key, () => Build(context, tenant, creation));
        return designTime ? pair.DesignTime : pair.Runtime;
    }

    private TenantModels.Pair Build(DbContext context, Tenant tenant, ModelCreationDependencies creation)
    {
        var initializer = creation.ModelRuntimeInitializer;
        var built = CreateModel(context, creation.ConventionSetBuilder, creation.ModelDependencies);
        var designTime = initializer.Initialize(built, designTime: true, creation.ValidationLogger);
        var runtime = initializer.Initialize(designTime, designTime: false, creation.ValidationLogger);
        designTime.SetRuntimeAnnotation(Owner, tenant);
        runtime.SetRuntimeAnnotation(Owner, tenant);
        return new TenantModels.Pair(runtime, designTime);
    }
}
