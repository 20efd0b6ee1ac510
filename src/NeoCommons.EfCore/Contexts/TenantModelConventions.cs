using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Metadata.Conventions;
using Microsoft.EntityFrameworkCore.Metadata.Conventions.Infrastructure;

namespace NeoCommons.EfCore;

/// <summary>Refuses a model that names a schema of its own: every tenant would read and write the same tables.</summary>
internal sealed class TenantModelConventions(IDbContextOptions options)
    : IConventionSetPlugin,
        IModelFinalizingConvention
{
    public ConventionSet ModifyConventions(ConventionSet conventionSet)
    {
        conventionSet.ModelFinalizingConventions.Add(this);
        return conventionSet;
    }

    public void ProcessModelFinalizing(
        IConventionModelBuilder modelBuilder,
        IConventionContext<IConventionModelBuilder> context
    )
    {
        var allowed = options.FindExtension<TenantOptionsExtension>()!.SharedSchemas;
        var model = modelBuilder.Metadata;
        Check("HasDefaultSchema", model.GetDefaultSchema());
        foreach (var entity in model.GetEntityTypes())
        {
            var name = entity.DisplayName();
            Check(name, entity.GetSchema());
            Check(name, entity.GetViewSchema());
            foreach (var fragment in entity.GetMappingFragments())
            {
                Check(name, fragment.StoreObject.Schema);
            }
        }

        foreach (var sequence in model.GetSequences())
        {
            Check($"sequence {sequence.Name}", sequence.Schema);
        }

        foreach (var function in model.GetDbFunctions().Where(f => !f.IsBuiltIn))
        {
            Check($"function {function.Name}", function.Schema);
        }

        void Check(string what, string? schema)
        {
            if (schema is not null && !allowed.Contains(schema))
            {
                throw new InvalidOperationException(
                    $"{what} is mapped to schema '{schema}', so all tenants would share it. Leave the schema out, so that it "
                        + "lies in each tenant's own; or, if sharing is meant, add the schema to NeoCommons:Connections:SharedSchemas"
                        + (allowed.Count == 0 ? "." : $" (now: {string.Join(", ", allowed)}).")
                );
            }
        }
    }
}
